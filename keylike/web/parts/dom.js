// Makes elements out of what they are called, their properties and what they hold. Text is always text, never markup.

const SVG = "http://www.w3.org/2000/svg"

export const find = id => document.getElementById(id)

/** An HTML element. `on` holds listeners, `data` data attributes, `vars` CSS variables; whatever else is an attribute. */
export function make(tag, properties = {}, ...children) {
  return dress(document.createElement(tag), properties, children)
}

/** The same of SVG. */
export function draw(tag, properties = {}, ...children) {
  return dress(document.createElementNS(SVG, tag), properties, children)
}

function dress(element, { on = {}, data = {}, vars = {}, ...attributes }, children) {
  for (const [name, listener] of Object.entries(on)) element.addEventListener(name, listener)
  for (const [name, value] of Object.entries(data)) element.dataset[name] = value
  for (const [name, value] of Object.entries(vars)) element.style.setProperty(`--${name}`, value)
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "")
    else if (value !== false && value != null) element.setAttribute(name, value)
  }
  element.append(...children.flat().filter(child => child != null && child !== false))
  return element
}

/** One of the signs that the page defines, beside words that say the same. */
export function sign(name) {
  return draw("svg", { class: "sign", "aria-hidden": "true" }, draw("use", { href: `#${name}-sign` }))
}

/** Says something to those who listen to the page; the same twice is said twice. */
export function say(text) {
  const voice = find("say")
  voice.textContent = ""
  requestAnimationFrame(() => { voice.textContent = text })
}

export const percent = part => `${part >= 0.995 ? ">99" : Math.floor(part * 100)} %`
