// Builds elements from tag, properties and children. Strings become text, never markup.

const SVG = "http://www.w3.org/2000/svg"

export const find = id => document.getElementById(id)

/**
 * Returns an HTML element. `on` has listeners, `data` data attributes, `vars` CSS variables; all
 * other properties are attributes.
 */
export function make(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children)
}

/** Returns an SVG element; the arguments are those of `make`. */
export function draw(tag, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children)
}

function fill(element, { on = {}, data = {}, vars = {}, ...attributes }, children) {
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

/** Returns one of the icons that the page defines. A text next to it must say the same. */
export function icon(name) {
  return draw(
    "svg",
    { class: "icon", "aria-hidden": "true" },
    draw("use", { href: `#${name}-icon` }),
  )
}

/** Announces a text to screen readers, also when it equals the previous one. */
export function announce(text) {
  const region = find("announcement")
  region.textContent = ""
  requestAnimationFrame(() => {
    region.textContent = text
  })
}

/** Returns a button. `properties` are those of `make`; `press` is called when it is pressed. */
export function button(properties, press, ...children) {
  return make("button", { type: "button", ...properties, on: { click: press } }, ...children)
}
