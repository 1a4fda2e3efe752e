// Relative to this script, so that the page works under any path of a reverse proxy.
const document_url = new URL("../openapi.json", document.currentScript.src).href
SwaggerUIBundle({ url: document_url, dom_id: "#docs", validatorUrl: null })
