// Starts Swagger UI with the document that the page names.
"use strict";

const place = document.getElementById("swagger-ui");

SwaggerUIBundle({
  domNode: place,
  url: place.dataset.document,
  deepLinking: true,
  validatorUrl: null, // the default sends the address of this store to swagger.io
});
