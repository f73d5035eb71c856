"""Seeded bugs in who may do what only the owner may: the roles, the login, the sessions and the links."""

from tests.mutants.catalogue.mutant import Mutant

MUTANTS = (
    Mutant(
        "a tier that knows no owner obeys everybody",
        "whoever reaches the tier gives orders back and changes prices",
        "wsgi_apps/roles.py",
        '        return _refuse(403, "only the owner may do this, and this tier knows none: set its OWNER_SECRET")\n',
        "        return endpoint(request, **values)\n",
    ),
    Mutant(
        "a catalog that knows its owner takes back for every tier",
        "the front end puts sold pieces back into the stock, and sells them again",
        "wsgi_apps/roles.py",
        "        return (endpoint if role_of(request.environ) is None else guarded)(request, **values)\n",
        "        return endpoint(request, **values)\n",
    ),
    Mutant(
        "the secret of the tiers makes an owner",
        "the front end may do what only the owner may",
        "wsgi_apps/bearer_auth.py",
        "            return Role.TIER\n",
        "            return Role.OWNER\n",
    ),
    Mutant(
        "the front end gets the secret of the owner",
        "who takes the front end over is the owner",
        "conf/supervisord.conf",
        "env -u OWNER_SECRET -u OWNER_SECRET_FILE ",
        "",
    ),
    Mutant(
        "a form needs no token",
        "a stolen cookie changes the stock",
        "wsgi_apps/pages/desk/login.py",
        "if not self._sessions.is_token_of(session, token):",
        "if token == session.id:",
    ),
    Mutant(
        "a logout ends no session",
        "a copied cookie goes on after the logout",
        "wsgi_apps/sessions.py",
        "            self._ended[session.id] = session.issued_s + LIFETIME_S\n",
        "            pass\n",
    ),
    Mutant(
        "a link logs in twice",
        "a link in a terminal's scrollback opens the desk",
        "wsgi_apps/login_links.py",
        "            self._used[value] = issued_s + LIFETIME_S\n",
        "            pass\n",
    ),
    Mutant(
        "a restart makes links usable again",
        "a link that was used logs in once more after a restart",
        "wsgi_apps/login_links.py",
        "issued_s < self._started_s or not",
        "not",
    ),
    Mutant(
        "a guesser learns that a secret is right",
        "the limit of guesses does not slow the right guess down",
        "wsgi_apps/login_limit.py",
        "            if wait_s > 0:\n",
        "            if wait_s > 0 and not is_right():\n",
    ),
    Mutant(
        "a login goes on to another site",
        "a link to the desk's login ends at a page that asks for the secret again",
        "wsgi_apps/pages/desk/login.py",
        ' and not text.startswith("//")',
        "",
    ),
)
