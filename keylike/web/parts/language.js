// The language of the page: chosen from the browser's languages or by the user, and remembered.
// Texts are in web/languages/, one file per language. Other modules import this one and so run after
// the texts are loaded.

const STORED = "keylike.language"
export const LANGUAGES = { en: "English", es: "Español", de: "Deutsch", fr: "Français" }

let name = chosen()
let language = await load(name)
let matchers = compile(language.sentences)

/** Returns the stored language, or the first of the browser's languages that the page has. */
function chosen() {
  const stored = localStorage.getItem(STORED)
  const wanted = [stored, ...navigator.languages.map(tag => tag.split("-")[0].toLowerCase())]
  return wanted.find(each => Object.hasOwn(LANGUAGES, each)) ?? "en"
}

function load(wanted) {
  return import(`../languages/${wanted}.js`)
}

export const current = () => name

/** Changes the language and remembers it. */
export async function choose(wanted) {
  const loaded = await load(wanted)
  name = wanted
  language = loaded
  matchers = compile(language.sentences)
  localStorage.setItem(STORED, wanted)
}

/** Returns a text. `values` fills its placeholders, and its {n} chooses between one and other. */
export function t(key, values = {}) {
  let text = language.texts[key]
  if (typeof text === "object")
    text = text[new Intl.PluralRules(name).select(values.n)] ?? text.other
  return fill(text, values)
}

export const has = key => Object.hasOwn(language.texts, key)

/** Returns a text as a list of strings and nodes: `nodes` fills its placeholders. */
export function parts(key, nodes) {
  return language.texts[key].split(/\{(\w+)\}/).map((part, i) => (i % 2 ? nodes[part] : part))
}

/** Returns advice for a refusal in the language of the page: the server's, which is English. */
export const adviceFor = ({ reason, advice }) =>
  name === "en" ? advice : (language.advice[reason] ?? null)

/** Returns the translation of a sentence of the server, or null if there is none. */
export function translated(sentence) {
  if (name === "en") return sentence
  for (const [pattern, translation] of matchers) {
    const found = pattern.exec(sentence)
    if (found) return fill(translation, localNumbers(found.groups ?? {}))
  }
  return null
}

function compile(sentences) {
  return Object.entries(sentences).map(([english, translation]) => {
    const pattern = english
      .replace(/[.*+?^$()|[\]\\]/g, "\\$&")
      .replace(/\{(\w+)\}/g, (_, group) => `(?<${group}>.+)`)
    return [new RegExp(`^${pattern}$`), translation]
  })
}

function localNumbers(groups) {
  return Object.fromEntries(
    Object.entries(groups).map(([key, value]) => [
      key,
      /^[\d,]+$/.test(value) ? number(Number(value.replaceAll(",", ""))) : value,
    ]),
  )
}

const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, key) => values[key])

export const number = (value, digits = 0) =>
  new Intl.NumberFormat(name, {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  }).format(value)

/** Returns a probability, rounded down, so that only a certain one is 100 %. */
export function percent(part) {
  const format = new Intl.NumberFormat(name, { style: "percent" })
  return part >= 0.995 ? `>${format.format(0.99)}` : format.format(Math.floor(part * 100) / 100)
}

export const date = time =>
  new Date(time).toLocaleString(name, { dateStyle: "medium", timeStyle: "short" })

export const clockTime = time =>
  new Date(time).toLocaleTimeString(name, { hour: "2-digit", minute: "2-digit" })

/**
 * Fills the texts of the document. data-text names the text of an element, data-label its
 * aria-label. Children with data-slot fill the placeholders of the text.
 */
export function translateDocument() {
  document.documentElement.lang = name
  for (const element of document.querySelectorAll("[data-text]")) {
    const slots = [...element.querySelectorAll("[data-slot]")]
    const nodes = Object.fromEntries(slots.map(slot => [slot.dataset.slot, slot]))
    element.replaceChildren(...parts(element.dataset.text, nodes))
  }
  for (const element of document.querySelectorAll("[data-label]"))
    element.setAttribute("aria-label", t(element.dataset.label))
}
