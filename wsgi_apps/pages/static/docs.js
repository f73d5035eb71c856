// Starts Swagger UI with the document that the page names.
"use strict";

const place = document.getElementById("swagger-ui");

SwaggerUIBundle({
  domNode: place,
  url: place.dataset.document,
  requestInterceptor: (request) => {
    // The token of the owner's session, without which the desk changes nothing.
    if (place.dataset.token) request.headers["X-Form-Token"] = place.dataset.token;
    return request;
  },
  validatorUrl: null, // the default sends the address of this store to swagger.io
});

// Swagger UI leaves these controls without a name, so a screen reader could not tell them.
const names = { ".copy-to-clipboard button": "Copy", "select.examples-select-element": "Example" };

new MutationObserver(() => {
  for (const [selector, name] of Object.entries(names)) {
    for (const control of place.querySelectorAll(`${selector}:not([aria-label])`)) {
      control.setAttribute("aria-label", name);
    }
  }
}).observe(place, { childList: true, subtree: true });
