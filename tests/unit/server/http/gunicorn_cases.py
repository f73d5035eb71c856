"""Facts from gunicorn's own tests: each input, and whether it is accepted.

Source: github.com/benoitc/gunicorn, tests/requests, commit 65ac1a3 of 2026-08-22, MIT licence. A setting of gunicorn
that a case is about stands behind its name.

A fact is the bytes, the requests that theirs reads of them, and whether it refuses what follows. Where HTTP/1.1 wants a
Host and their case has none, `Host: a` was added at the end of the head: the case is about something else. Long runs of
letters became as many x.
"""

# ruff: noqa: E501
# fmt: off

from tests.unit.server.http.case import Case

CHUNKS = "no body comes in chunks: 411"
CODINGS = "a coding that does not tell where the body ends is refused"
BOTH = "a Transfer-Encoding beside a Content-Length is refused whatever it says"
FRAGMENT = "a target has no fragment (RFC 9112, 3.2)"
CONNECT = "the store is no proxy: the authority form is refused"
FOLDED = "a folded line is refused (RFC 9112, 5.2)"
BLANK = "a blank before the colon is refused (RFC 9112, 5.1)"
METHOD = "methods are 1 to 20 upper-case letters"
LATER = "ours refuses it when its head ends"
PROXY = "the PROXY protocol is not spoken"
LONG_LINE = "the limit of a request line is 4,094 bytes"
LONG_HEADER = "the limit of a header is 8,190 bytes"
LIMIT = "their limit in this case is lower than ours, which cannot be set"
SHORT = "ours waits for the whole body"
USER = "a user in an authority is refused (RFC 9110, 4.2.4)"
ASCII = "a target is ASCII (RFC 3986, 2)"

CASES = [
    Case("valid/001", b'PUT /stuff/here?foo=bar HTTP/1.0\r\nServer: http://127.0.0.1:5984\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{"nom": "nom"}', (("PUT", "/stuff/here?foo=bar", b'{"nom": "nom"}'),), False),
    Case("valid/002", b"GET /test HTTP/1.1\r\nUser-Agent: curl/7.18.0 (i486-pc-linux-gnu) libcurl/7.18.0 OpenSSL/0.9.8g zlib/1.2.3.3 libidn/1.1\r\nHost: 0.0.0.0=5000\r\nAccept: */*\r\n\r\n", (("GET", "/test", b""),), False),
    Case("valid/003", b"GET /favicon.ico HTTP/1.1\r\nHost: 0.0.0.0=5000\r\nUser-Agent: Mozilla/5.0 (X11; U; Linux i686; en-US; rv:1.9) Gecko/2008061015 Firefox/3.0\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-us,en;q=0.5\r\nAccept-Encoding: gzip,deflate\r\nAccept-Charset: ISO-8859-1,utf-8;q=0.7,*;q=0.7\r\nKeep-Alive: 300\r\nConnection: keep-alive\r\n\r\n", (("GET", "/favicon.ico", b""),), False),
    Case("valid/004", b"GET /silly HTTP/1.1\r\naaaaaaaaaaaaa:++++++++++\r\nHost: a\r\n\r\n", (("GET", "/silly", b""),), False),
    Case("valid/005", b"GET /forums/1/topics/2375?page=1#posts-17408 HTTP/1.1\r\nHost: a\r\n\r\n", (("GET", "/forums/1/topics/2375?page=1#posts-17408", b""),), False, (0, 400), FRAGMENT),
    Case("valid/006", b"GET /get_no_headers_no_body/world HTTP/1.1\r\nHost: a\r\n\r\n", (("GET", "/get_no_headers_no_body/world", b""),), False),
    Case("valid/007", b"GET /get_one_header_no_body HTTP/1.1\r\nAccept: */*\r\nHost: a\r\n\r\n", (("GET", "/get_one_header_no_body", b""),), False),
    Case("valid/008", b"GET /unusual_content_length HTTP/1.0\r\nconTENT-Length: 5\r\n\r\nHELLO", (("GET", "/unusual_content_length", b"HELLO"),), False),
    Case("valid/009", b"POST /post_identity_body_world?q=search#hey HTTP/1.1\r\nAccept: */*\r\nTransfer-Encoding: identity\r\nContent-Length: 5\r\nHost: a\r\n\r\nWorld", (("POST", "/post_identity_body_world?q=search#hey", b"World"),), False, (0, 400), BOTH),
    Case("valid/010", b"POST /post_chunked_all_your_base HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: a\r\n\r\n1e\r\nall your base are belong to us\r\n0\r\n\r\n", (("POST", "/post_chunked_all_your_base", b"all your base are belong to us"),), False, (0, 411), CHUNKS),
    Case("valid/011", b"POST /two_chunks_mult_zero_end HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: a\r\n\r\n5\r\nhello\r\n6\r\n world\r\n000\r\n\r\n", (("POST", "/two_chunks_mult_zero_end", b"hello world"),), False, (0, 411), CHUNKS),
    Case("valid/012", b"POST /chunked_w_trailing_headers HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: a\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\nVary: *\r\nContent-Type: text/plain\r\n\r\n", (("POST", "/chunked_w_trailing_headers", b"hello world"),), False, (0, 411), CHUNKS),
    Case("valid/013", b"POST /chunked_w_extensions HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: a\r\n\r\n5; some; parameters=stuff\r\nhello\r\n6; blahblah; blah\r\n world\r\n0\r\n\r\n", (("POST", "/chunked_w_extensions", b"hello world"),), False, (0, 411), CHUNKS),
    Case("valid/014", b'GET /with_"quotes"?foo="bar" HTTP/1.1\r\nHost: a\r\n\r\n', (("GET", '/with_"quotes"?foo="bar"', b""),), False),
    Case("valid/015", b"GET /test HTTP/1.0\r\nHost: 0.0.0.0:5000\r\nUser-Agent: ApacheBench/2.3\r\nAccept: */*\r\n\r\n", (("GET", "/test", b""),), False),
    Case("valid/017", b"GET /stuff/here?foo=bar HTTP/1.0\r\nIf-Match: bazinga!\r\nIf-Match: large-sound\r\n\r\n", (("GET", "/stuff/here?foo=bar", b""),), False),
    Case("valid/018", b"GET /first HTTP/1.1\r\nHost: a\r\n\r\nGET /second HTTP/1.1\r\nHost: a\r\n\r\n", (("GET", "/first", b""), ("GET", "/second", b"")), False),
    Case("valid/019", b"GET /first HTTP/1.0\r\n\r\nGET /second HTTP/1.1\r\n\r\n", (("GET", "/first", b""),), False),
    Case("valid/020", b"GET /first HTTP/1.0\r\nContent-Length: 24\r\n\r\nGET /second HTTP/1.1\r\n\r\n", (("GET", "/first", b"GET /second HTTP/1.1\r\n\r\n"),), False),
    Case("valid/021", b"GET /first HTTP/1.1\r\nConnection: Close\r\nHost: a\r\n\r\nGET /second HTTP/1.1\r\n\r\n", (("GET", "/first", b""),), False),
    Case("valid/022", b"GET /first HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\nGET /second HTTP/1.1\r\nHost: a\r\n\r\n", (("GET", "/first", b""), ("GET", "/second", b"")), False),
    Case("valid/023", b"POST /two_chunks_mult_zero_end HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: a\r\n\r\n5\r\nhello\r\n6\r\n world\r\n000\r\n\r\nGET /second HTTP/1.1\r\nHost: a\r\n\r\n", (("POST", "/two_chunks_mult_zero_end", b"hello world"), ("GET", "/second", b"")), False, (0, 411), CHUNKS),
    Case("valid/024 (limit_request_line=8200, limit_request_field_size=8210)", b"PUT /q=" + b"x" * 8173 + b" HTTP/1.0\r\nSomeheader: " + b"x" * 8192 + b"\r\n\r\n", (("PUT", "/q=" + "x" * 8173, b""),), False, (0, 414), LONG_LINE),
    Case("valid/025", b"POST /chunked HTTP/1.1\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\nHost: a\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", (("POST", "/chunked", b"hello world"),), False, (0, 400), CODINGS),
    Case("valid/025_line", b"POST /chunked HTTP/1.1\r\nTransfer-Encoding: gzip,chunked\r\nHost: a\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", (("POST", "/chunked", b"hello world"),), False, (0, 411), CHUNKS),
    Case("valid/026 (limit_request_field_size=8210)", b"GET / HTTP/1.0\r\nSomeheader: " + b"x" * 8192 + b"\r\n\r\n", (("GET", "/", b""),), False, (0, 431), LONG_HEADER),
    Case("valid/027", b"GET /\xc3\xa0%20k HTTP/1.0\r\n\r\n", (("GET", '/Ã\xa0%20k', b""),), False, (0, 400), ASCII),
    Case("valid/028 (strip_header_spaces=True)", b"GET /stuff/here?foo=bar HTTP/1.1\r\nContent-Length : 3\r\nHost: a\r\n\r\nxyz", (("GET", "/stuff/here?foo=bar", b"xyz"),), False, (0, 400), BLANK),
    Case("valid/029", b"GET /stuff/here?foo=bar HTTP/1.1\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\nHost: a\r\n\r\n5\r\nhello\r\n000\r\n\r\n", (("GET", "/stuff/here?foo=bar", b"hello"),), False, (0, 400), CODINGS),
    Case("valid/030", b"GET /stuff/here?foo=bar HTTP/1.1\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\nHost: a\r\n\r\n5\r\nhello\r\n000\r\n\r\n", (("GET", "/stuff/here?foo=bar", b"hello"),), False, (0, 400), CODINGS),
    Case("valid/031", b"-BLARGH /foo HTTP/1.1\r\nHost: a\r\n\r\n", (("-BLARGH", "/foo", b""),), False, (0, 400), METHOD),
    Case("valid/031compat (permit_unconventional_http_method=True, casefold_http_method=True)", b"-blargh /foo HTTP/1.1\r\nHost: a\r\n\r\n", (("-BLARGH", "/foo", b""),), False, (0, 400), METHOD),
    Case("valid/031compat2 (permit_unconventional_http_method=True)", b"-blargh /foo HTTP/1.1\r\nHost: a\r\n\r\n", (("-blargh", "/foo", b""),), False, (0, 400), METHOD),
    Case("valid/040", b"GET /keep/same/as?invalid/040 HTTP/1.0\r\nTransfer_Encoding: tricked\r\nContent-Length: 7\r\nContent_Length: -1E23\r\n\r\ntricked\r\n", (("GET", "/keep/same/as?invalid/040", b"tricked"),), False),
    Case("valid/040_compat (header_map=dangerous)", b"GET /keep/same/as?invalid/040 HTTP/1.0\r\nTransfer_Encoding: tricked\r\nContent-Length: 7\r\nContent_Length: -1E23\r\n\r\ntricked\r\n", (("GET", "/keep/same/as?invalid/040", b"tricked"),), False),
    Case("valid/099", b"POST /test-form HTTP/1.1\r\nHost: 0.0.0.0:5000\r\nUser-Agent: Mozilla/5.0 (Windows NT 6.2; WOW64; rv:25.0) Gecko/20100101 Firefox/25.0\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-us,en;q=0.7,el;q=0.3\r\nAccept-Encoding: gzip, deflate\r\nCookie: csrftoken=XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX; sessionid=YYYYYYYYYYYYYYYYYYYYYYYYYYYY\r\nConnection: keep-alive\r\nContent-Type: multipart/form-data; boundary=---------------------------320761477111544\r\nContent-Length: 17914\r\n\r\n-----------------------------32076147711", (("POST", "/test-form", b"-----------------------------32076147711"),), False, (0, None), SHORT),
    Case("valid/100", b"GET ///keeping_slashes HTTP/1.1\r\nHost: a\r\n\r\n", (("GET", "///keeping_slashes", b""),), False),
    Case("valid/compat_obs_fold (permit_obsolete_folding=True)", b"GET / HTTP/1.1\r\nLong: one\r\n two\r\nHost: localhost\r\n\r\n", (("GET", "/", b""),), False, (0, 400), FOLDED),
    Case("valid/compat_obs_fold_huge (permit_obsolete_folding=True)", b"GET / HTTP/1.1\r\nX-SSL-Cert:    -----BEGIN CERTIFICATE-----\r\n    MIIFbTCCBFWgAwIBAgICH4cwDQYJKoZIhvcNAQEFBQAwcDELMAkGA1UEBhMCVUsx\r\n    -----END CERTIFICATE-----\r\nHost: a\r\n\r\n", (("GET", "/", b""),), False, (0, 400), FOLDED),
    Case("valid/padding_01", b"GET / HTTP/1.1\r\nHost: localhost\r\nName: \t value \t \r\n\r\n", (("GET", "/", b""),), False),
    Case("valid/pp_01 (proxy_protocol=auto)", b'PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\nGET /stuff/here?foo=bar HTTP/1.0\r\nServer: http://127.0.0.1:5984\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{"nom": "nom"}', (("GET", "/stuff/here?foo=bar", b'{"nom": "nom"}'),), False, (0, 400), PROXY),
    Case("valid/pp_02 (proxy_protocol=auto)", b'PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\nGET /stuff/here?foo=bar HTTP/1.1\r\nServer: http://127.0.0.1:5984\r\nContent-Type: application/json\r\nContent-Length: 14\r\nConnection: keep-alive\r\nHost: a\r\n\r\n{"nom": "nom"}POST /post_chunked_all_your_base HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: a\r\n\r\n1e\r\nall your base are belong to us\r\n0\r\n\r\n', (("GET", "/stuff/here?foo=bar", b'{"nom": "nom"}'), ("POST", "/post_chunked_all_your_base", b"all your base are belong to us")), False, (0, 400), PROXY),
    Case("valid/pp_03 (proxy_protocol=auto)", b"GET /no/proxy/header HTTP/1.1\r\nHost: example.com\r\nContent-Length: 0\r\n\r\n", (("GET", "/no/proxy/header", b""),), False),
    Case("valid/pp_04 (proxy_protocol=auto)", b"\r\n\r\n\x00\r\nQUIT\n!\x11\x00\x0c\xc0\xa8\x01\n\xc0\xa8\x01\x0109\x01\xbbGET /proxy/v2/ipv4 HTTP/1.1\r\nHost: example.com\r\nContent-Length: 0\r\n\r\n", (("GET", "/proxy/v2/ipv4", b""),), False, (0, 400), PROXY),
    Case("valid/pp_05 (proxy_protocol=auto)", b"\r\n\r\n\x00\r\nQUIT\n!!\x00$ \x01\r\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01 \x01\r\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\xd41\x00PGET /proxy/v2/ipv6 HTTP/1.1\r\nHost: example.com\r\nContent-Length: 0\r\n\r\n", (("GET", "/proxy/v2/ipv6", b""),), False, (0, 400), PROXY),
    Case("valid/rfc9110_body_framing_get_cl_nonzero_01", b"GET /foo HTTP/1.1\r\nHost: example.com\r\nContent-Length: 5\r\n\r\nhello", (("GET", "/foo", b"hello"),), False),
    Case("valid/rfc9110_body_framing_get_cl_zero_01", b"GET /foo HTTP/1.1\r\nHost: example.com\r\nContent-Length: 0\r\n\r\n", (("GET", "/foo", b""),), False),
    Case("valid/rfc9110_body_framing_http10_cl_01", b"POST /foo HTTP/1.0\r\nHost: example.com\r\nContent-Length: 5\r\n\r\nhello", (("POST", "/foo", b"hello"),), False),
    Case("valid/rfc9110_field_name_special_chars_01", b"GET /foo HTTP/1.1\r\nHost: example.com\r\nX.Custom|Pipe: ok\r\n\r\n", (("GET", "/foo", b""),), False),
    Case("valid/rfc9110_field_value_htab_trim_01", b"GET /foo HTTP/1.1\r\nHost: example.com\r\nX-Value:\tabc\t\r\n\r\n", (("GET", "/foo", b""),), False),
    Case("valid/rfc9110_field_value_obs_text_01", b"GET /foo HTTP/1.1\r\nHost: example.com\r\nX-Value: caf\xc3\xa9\r\n\r\n", (("GET", "/foo", b""),), False),
    Case("valid/rfc9112_chunked_ext_quoted_01", b'POST /upload HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n\r\n5;foo="bar baz"\r\nhello\r\n0\r\n\r\n', (("POST", "/upload", b"hello"),), False, (0, 411), CHUNKS),
    Case("valid/rfc9112_chunked_size_leading_zeros_01", b"POST /upload HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n\r\n0005\r\nhello\r\n0\r\n\r\n", (("POST", "/upload", b"hello"),), False, (0, 411), CHUNKS),
    Case("valid/rfc9112_chunked_size_uppercase_hex_01", b"POST /upload HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n", (("POST", "/upload", b"0123456789"),), False, (0, 411), CHUNKS),
    Case("valid/rfc9112_smuggle_gzip_chunked_01", b"POST /upload HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", (("POST", "/upload", b"hello"),), False, (0, 411), CHUNKS),
    Case("valid/rfc9112_smuggle_te_identity_chunked_01", b"POST /upload HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: identity, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", (("POST", "/upload", b"hello"),), False, (0, 411), CHUNKS),
    Case("valid/rfc9112_target_absolute_01", b"GET http://example.com/foo?q=1 HTTP/1.1\r\nHost: example.com\r\n\r\n", (("GET", "http://example.com/foo?q=1", b""),), False),
    Case("valid/rfc9112_target_absolute_https_01", b"GET https://example.com/foo HTTP/1.1\r\nHost: example.com\r\n\r\n", (("GET", "https://example.com/foo", b""),), False),
    Case("valid/rfc9112_target_absolute_ipv6_01", b"GET http://[::1]:8080/foo HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", (("GET", "http://[::1]:8080/foo", b""),), False),
    Case("valid/rfc9112_target_absolute_userinfo_01", b"GET http://user:pass@example.com:8080/foo?q=1 HTTP/1.1\r\nHost: example.com:8080\r\n\r\n", (("GET", "http://user:pass@example.com:8080/foo?q=1", b""),), False, (0, 400), USER),
    Case("valid/rfc9112_target_asterisk_options_01", b"OPTIONS * HTTP/1.1\r\nHost: example.com\r\n\r\n", (("OPTIONS", "*", b""),), False),
    Case("valid/rfc9112_target_authority_connect_01", b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n", (("CONNECT", "example.com:443", b""),), False, (0, 400), CONNECT),
    Case("valid/rfc9112_target_authority_ipv6_01", b"CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n", (("CONNECT", "[::1]:443", b""),), False, (0, 400), CONNECT),
    Case("invalid/001", b"GET /foo/bar HTTP/1.0\r\nbaz", (), True, (0, None), LATER),
    Case("invalid/002", b"GET HTTP/1.1\r\nHost: a\r\n\r\n", (), True),
    Case("invalid/003", b"GET\n/\nHTTP/1.1\r\n\r\n", (), True),
    Case("invalid/003b", b"bla:rgh /foo HTTP/1.1\r\nHost: a\r\n\r\n", (), True),
    Case("invalid/003c", b"-bl /foo HTTP/1.1\r\nHost: a\r\n\r\n", (), True),
    Case("invalid/004", b"GET /foo FTP/1.1\r\n\r\n", (), True),
    Case("invalid/005", b"GET /foo HTTP/1.1\r\nba\x00z: bar\r\nHost: a\r\n\r\n", (), True),
    Case("invalid/006", b"PUT /q=" + b"x" * 4096 + b" HTTP/1.0\r\n\r\n", (), True),
    Case("invalid/007", b"PUT /stuff/here?foo=bar HTTP/1.0\r\nServer: http://127.0.0.1:5984\r\nContent-Type: application/json\r\nContent-Length: 14\r\nSomeheader:" + b"x" * 8192 + b'\r\n\r\n{"nom": "nom"}', (), True),
    Case("invalid/008", b"PUT /stuff/here?foo=bar HTTP/1.0\r\nServer: http://127.0.0.1:5984\r\nContent-Type: application/json\r\nSomeheader: " + b"x" * 8177 + b"\r\nSomeheader: " + b"x" * 4096 + b"\r\n\r\n", (), True),
    Case("invalid/009", b'PUT /stuff/here?foo=bar HTTP/1.0\r\nServer: http://127.0.0.1:5984\r\nContent-Type: application/json\r\nContent-Length: 14\r\nheader0: 0\r\nheader1: 1\r\nheader2: 2\r\nheader3: 3\r\nheader4: 4\r\nheader5: 5\r\nheader6: 6\r\nheader7: 7\r\nheader8: 8\r\nheader9: 9\r\nheader10: 10\r\nheader11: 11\r\nheader12: 12\r\nheader13: 13\r\nheader14: 14\r\nheader15: 15\r\nheader16: 16\r\nheader17: 17\r\nheader18: 18\r\nheader19: 19\r\nheader20: 20\r\nheader21: 21\r\nheader22: 22\r\nheader23: 23\r\nheader24: 24\r\nheader25: 25\r\nheader26: 26\r\nheader27: 27\r\nheader28: 28\r\nheader29: 29\r\nheader30: 30\r\nheader31: 31\r\nheader32: 32\r\nheader33: 33\r\nheader34: 34\r\nheader35: 35\r\nheader36: 36\r\nheader37: 37\r\nheader38: 38\r\nheader39: 39\r\nheader40: 40\r\nheader41: 41\r\nheader42: 42\r\nheader43: 43\r\nheader44: 44\r\nheader45: 45\r\nheader46: 46\r\nheader47: 47\r\nheader48: 48\r\nheader49: 49\r\nheader50: 50\r\nheader51: 51\r\nheader52: 52\r\nheader53: 53\r\nheader54: 54\r\nheader55: 55\r\nheader56: 56\r\nheader57: 57\r\nheader58: 58\r\nheader59: 59\r\nheader60: 60\r\nheader61: 61\r\nheader62: 62\r\nheader63: 63\r\nheader64: 64\r\nheader65: 65\r\nheader66: 66\r\nheader67: 67\r\nheader68: 68\r\nheader69: 69\r\nheader70: 70\r\nheader71: 71\r\nheader72: 72\r\nheader73: 73\r\nheader74: 74\r\nheader75: 75\r\nheader76: 76\r\nheader77: 77\r\nheader78: 78\r\nheader79: 79\r\nheader80: 80\r\nheader81: 81\r\nheader82: 82\r\nheader83: 83\r\nheader84: 84\r\nheader85: 85\r\nheader86: 86\r\nheader87: 87\r\nheader88: 88\r\nheader89: 89\r\nheader90: 90\r\nheader91: 91\r\nheader92: 92\r\nheader93: 93\r\nheader94: 94\r\nheader95: 95\r\nheader96: 96\r\nheader97: 97\r\nheader98: 98\r\nheader99: 99\r\n\r\n{"nom": "nom"}', (), True),
    Case("invalid/010 (limit_request_field_size=10)", b"GET /test HTTP/1.1\r\nAccept: */*\r\nHost: a\r\n\r\n", (), True, (1, None), LIMIT),
    Case("invalid/011 (limit_request_fields=2)", b"GET /test HTTP/1.1\r\nUser-Agent: curl/7.18.0 (i486-pc-linux-gnu) libcurl/7.18.0 OpenSSL/0.9.8g zlib/1.2.3.3 libidn/1.1\r\nHost: 0.0.0.0=5000\r\nAccept: */*\r\n\r\n", (), True, (1, None), LIMIT),
    Case("invalid/012 (limit_request_field_size=98)", b"GET /test HTTP/1.1\r\nUser-Agent: curl/7.18.0 (i486-pc-linux-gnu) libcurl/7.18.0 OpenSSL/0.9.8g zlib/1.2.3.3 libidn/1.1\r\nHost: 0.0.0.0=5000\r\nAccept: */*\r\n\r\n", (), True, (1, None), LIMIT),
    Case("invalid/013 (limit_request_field_size=14, permit_obsolete_folding=True)", b"GET /test HTTP/1.1\r\nAccept:\r\n */*\r\nHost: a\r\n\r\n", (), True),
    Case("invalid/014", b'PUT /stuff/here?foo=bar HTTP/1.0\r\nCONTENT-LENGTH: -1\r\n\r\n{"test": "-1}', (), True),
    Case("invalid/015", b'POST /stuff/here?foo=bar HTTP/1.0\r\nCONTENT-LENGTH: bla-bla-bla\r\n\r\n{"test": "-1}', (), True),
    Case("invalid/016", b"PUT s://]ufd/: HTTP/1.1\r\nHost: a\r\n\r\n", (), True),
    Case("invalid/017", b"GET /test HTTP/1.1\r\nLong-header: " + b"x" * 8176 + b"\r\nHost: a\r\n\r\n", (), True),
    Case("invalid/018", b"GET /test HTTP/111\r\nHost: localhost\r\n\r\n", (), True),
    Case("invalid/019 (forwarded_allow_ips=['*'])", b"GET /test HTTP/1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Ssl: off\r\nHost: a\r\n\r\n", (), True, (1, None), "ours believes no forwarding header, so two of them cannot disagree"),
    Case("invalid/020", b"GET /stuff/here?foo=bar HTTP/1.1\r\nContent-Length : 3\r\nHost: a\r\n\r\nxyz", (), True),
    Case("invalid/021", b"GET /stuff/here?foo=bar HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 2\r\nHost: a\r\n\r\nxyz", (), True),
    Case("invalid/022", b"GET /first HTTP/1.0\r\nContent-Length: -0\r\n\r\n", (), True),
    Case("invalid/023", b"GET /first HTTP/1.0\r\nContent-Length: 0_1\r\n\r\n", (), True),
    Case("invalid/024", b"GET /first HTTP/1.0\r\nContent-Length: +1\r\n\r\n", (), True),
    Case("invalid/040 (header_map=refuse)", b"GET /keep/same/as?invalid/040 HTTP/1.0\r\nTransfer_Encoding: tricked\r\nContent-Length: 7\r\nContent_Length: -1E23\r\n\r\ntricked\r\n", (), True, (1, None), "a header with an underscore in its name is dropped, as by gunicorn itself without this setting"),
    Case("invalid/041", b"GET /stuff/here?foo=bar HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Type: text/html\r\n\r\n", (), True),
    Case("invalid/042", b"GET /stuff/here?foo=bar HTTP/1.1\r\nHost: localhost\r\nHost: evil.example.com\r\n\r\n", (), True),
    Case("invalid/chunked_01", b"POST /chunked_w_underscore_chunk_size HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: a\r\n\r\n5\r\nhello\r\n6_0\r\n world\r\n0\r\n\r\nPOST /after HTTP/1.1\r\nTransfer-Encoding: identity\r\n\r\n", (), True),
    Case("invalid/chunked_02", b"POST /chunked_with_prefixed_value HTTP/1.1\r\nContent-Length: 12\r\nTransfer-Encoding: \tchunked\r\nHost: a\r\n\r\n5\r\nhello\r\n6\r\n world\r\n\r\n", (), True),
    Case("invalid/chunked_03", b"POST /double_chunked HTTP/1.1\r\nTransfer-Encoding: identity, chunked, identity, chunked\r\nHost: a\r\n\r\n5\r\nhello\r\n6\r\n world\r\n\r\n", (), True),
    Case("invalid/chunked_04", b"POST /chunked_twice HTTP/1.1\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\nHost: a\r\n\r\n5\r\nhello\r\n6\r\n world\r\n\r\n", (), True),
    Case("invalid/chunked_05", b"POST /chunked_HTTP_1.0 HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\nVary: *\r\nContent-Type: text/plain\r\n\r\n", (), True),
    Case("invalid/chunked_06", b"POST /chunked_not_last HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\nHost: a\r\n\r\n5\r\nhello\r\n6\r\n world\r\n\r\n", (), True),
    Case("invalid/chunked_07 (header_map=refuse)", b"POST /chunked_ambiguous_header_mapping HTTP/1.1\r\nTransfer_Encoding: gzip\r\nTransfer-Encoding: chunked\r\nHost: a\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", (), True),
    Case("invalid/chunked_08", b"POST /chunked_not_last HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\nHost: a\r\n\r\n5\r\nhello\r\n6\r\n world\r\n\r\n", (), True),
    Case("invalid/chunked_09", b"POST /chunked_ows_without_ext HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: a\r\n\r\n5\r\nhello\r\n0 \r\n\r\n", (), True),
    Case("invalid/chunked_10", b"POST /chunked_ows_before HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: a\r\n\r\n5\r\nhello\r\n 0\r\n\r\n", (), True),
    Case("invalid/chunked_11", b"POST /chunked_ows_before HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: a\r\n\r\n5\n;\r\nhello\r\n0\r\n\r\n", (), True),
    Case("invalid/chunked_12", b"POST /chunked_no_chunk_size_but_ext HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: a\r\n\r\n ;foo=bar\r\nhello\r\n0\r\n\r\n", (), True),
    Case("invalid/chunked_13", b"POST /chunked_no_chunk_size HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: a\r\n\r\n\r\nhello\r\n0\r\n\r\n", (), True),
    Case("invalid/chunked_14", b"POST /chunked_bare_cr_in_extension HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: a\r\n\r\n5;ext=val\rue\r\nhello\r\n0\r\n\r\n", (), True),
    Case("invalid/invalid_field_value_01", b"GET / HTTP/1.1\r\nHost: x\r\nNewline: a\nContent-Length: 26\r\nGET / HTTP/1.1\nHost: x\r\n\r\n", (), True),
    Case("invalid/limit_header_default_01 (limit_request_field_size=0)", b"GET / HTTP/1.0\r\nX: " + b"x" * 8187 + b"\r\n\r\n", (), True),
    Case("invalid/nonascii_01", b"GET\xc3\x9f /germans.. HTTP/1.1\r\nContent-Length: 3\r\nHost: a\r\n\r\n\xc3\x84\xc3\x84\xc3\x84", (), True),
    Case("invalid/nonascii_02", b"GET\xc3\xbf /french.. HTTP/1.1\r\nContent-Length: 3\r\nHost: a\r\n\r\n\xc3\x84\xc3\x84\xc3\x84", (), True),
    Case("invalid/nonascii_03", b"GET /germans.. HTTP/1.1\r\nContent-Length\xc3\x9f: 3\r\nContent-Length: 3\r\nHost: a\r\n\r\n\xc3\x84\xc3\x84\xc3\x84", (), True),
    Case("invalid/nonascii_04", b"GET /french.. HTTP/1.1\r\nContent-Length\xc3\xbf: 3\r\nContent-Length: 3\r\nHost: a\r\n\r\n\xc3\x84\xc3\x84\xc3\x84", (), True),
    Case("invalid/obs_fold_01", b"GET / HTTP/1.1\r\nLong: one\r\n two\r\nHost: localhost\r\n\r\n", (), True),
    Case("invalid/pp_01 (proxy_protocol=auto)", b"PROXY TCP4 192.168.0.1 192.16...\r\n", (), True, (0, None), PROXY),
    Case("invalid/pp_02 (proxy_protocol=auto)", b"PROXY TCP4 192.168.0.1 192.168.0.11 65iii 100000\r\n", (), True, (0, None), PROXY),
    Case("invalid/pp_03 (proxy_protocol=auto)", b"PROXY TCP4 not-an-ip 192.168.0.11 56324 443\r\n", (), True, (0, None), PROXY),
    Case("invalid/prefix_01", b"GET\x00PROXY /foo HTTP/1.1\r\nHost: a\r\n\r\n", (), True),
    Case("invalid/prefix_02", b"GET\x00 /foo HTTP/1.1\r\nHost: a\r\n\r\n", (), True),
    Case("invalid/prefix_03", b"GET /stuff/here?foo=bar HTTP/1.1\r\nContent-Length: 0 1\r\nHost: a\r\n\r\nx", (), True),
    Case("invalid/prefix_04", b"GET /stuff/here?foo=bar HTTP/1.1\r\nContent-Length: 3 1\r\nHost: a\r\n\r\nxyzabc123", (), True),
    Case("invalid/prefix_05", b"GET: /stuff/here?foo=bar HTTP/1.1\r\nContent-Length: 3\r\nHost: a\r\n\r\nxyz", (), True),
    Case("invalid/prefix_06", b"GET /the/future HTTP/1111111111111111111111111111111111111111111111111111111111111111111111111111111111111111.1\r\nContent-Length: 7\r\n\r\nOld Man", (), True),
    Case("invalid/rfc9110_field_value_ctl_bel_01", b"GET /foo HTTP/1.1\r\nHost: example.com\r\nX-Value: plain\x07injected\r\n\r\n", (), True),
    Case("invalid/rfc9110_field_value_ctl_del_01", b"GET /foo HTTP/1.1\r\nHost: example.com\r\nX-Value: plain\x7finjected\r\n\r\n", (), True),
    Case("invalid/rfc9110_trailer_forbidden_cl_01", b"POST /p HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nContent-Length: 99\r\n\r\n", (), True),
    Case("invalid/rfc9110_trailer_forbidden_host_01", b"POST /p HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nHost: evil.example.com\r\n\r\n", (), True),
    Case("invalid/rfc9110_trailer_forbidden_te_01", b"POST /p HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n", (), True),
    Case("invalid/rfc9112_chunked_missing_final_crlf_01", b"POST /chunked_missing_final_crlf HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", (), True),
    Case("invalid/rfc9112_chunked_size_minus_sign_01", b"POST /upload HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n", (), True),
    Case("invalid/rfc9112_chunked_size_plus_sign_01", b"POST /upload HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n", (), True),
    Case("invalid/rfc9112_smuggle_cl_list_form_01", b"POST /p HTTP/1.1\r\nHost: example.com\r\nContent-Length: 5, 5\r\n\r\nhello", (), True),
    Case("invalid/rfc9112_smuggle_cl_te_chunked_01", b"POST /p HTTP/1.1\r\nHost: example.com\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", (), True),
    Case("invalid/rfc9112_target_asterisk_non_options_01", b"GET * HTTP/1.1\r\nHost: example.com\r\n\r\n", (), True),
    Case("invalid/rfc9112_target_authority_non_connect_01", b"GET example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n", (), True),
    Case("invalid/rfc9112_target_relative_01", b"GET foo/bar HTTP/1.1\r\nHost: example.com\r\n\r\n", (), True),
    Case("invalid/version_01", b"GET /foo HTTP/0.99\r\n\r\n", (), True),
    Case("invalid/version_02", b"GET /foo HTTP/2.0\r\n\r\n", (), True),
]
