const form = document.getElementById("form"), answer = document.getElementById("answer"), button = form.querySelector("button")

function line(text, className) {
  const element = document.createElement("div")
  element.textContent = text
  if (className) element.className = className
  return element
}

function whole(body) {
  const details = document.createElement("details"), summary = document.createElement("summary"), pre = document.createElement("pre")
  summary.textContent = "The whole answer"
  pre.textContent = JSON.stringify(body, null, 2)
  details.append(summary, pre)
  return details
}

function post(headers) {
  return fetch("/predict", { method: "POST", body: new FormData(form), headers: { "ngrok-skip-browser-warning": "true", ...headers } })
}

async function read() {
  let response = await post({})
  if (response.status === 401) {
    const token = prompt("This server asks for a token:")
    if (token) response = await post({ "X-API-Key": token })
  }
  const body = await response.json()
  if (!body.success) return [line(body.error, "trouble"), line(body.advice ?? ""), whole(body)]
  const sure = Math.floor(body.confidence * 100)
  return [line(body.bitting, "code"), line(`${body.keyway} (${body.brand}), ${sure} % sure of the whole code`, "quiet"), whole(body)]
}

form.addEventListener("submit", async event => {
  event.preventDefault()
  button.disabled = true
  answer.replaceChildren(line("Reading…", "quiet"))
  try {
    answer.replaceChildren(...await read())
  } catch {
    answer.replaceChildren(line("The server cannot be reached.", "trouble"))
  }
  button.disabled = false
})
