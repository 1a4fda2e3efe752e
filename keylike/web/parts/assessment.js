// The assessment: what the code means for the lock's owner. The sources are folded.

import { make } from "./dom.js"
import { current, has, number, t, translated } from "./language.js"

const LOOK = { weak: "low", fair: "fair", good: "" }

/** Returns the card of an assessment. */
export function assessment(found) {
  const { keyed_alike: alike, weak_patterns: patterns, blank, bump_exposure: bumping } = found
  const claims = [
    ["keyed_alike", alike.sentence, alike.source],
    ...patterns.map(pattern => ["pattern", pattern.explanation, pattern.source, "worse"]),
    ["blank", blank.explanation, blank.source, blank.value === "free" && "worse"],
    ["bumping", bumping.explanation, bumping.source, bumping.value === "high" && "worse"],
  ]
  return make(
    "div",
    { class: "card" },
    make("h2", {}, t("assessment.title")),
    make(
      "div",
      { class: "score" },
      make("strong", {}, number(found.score)),
      make("span", {}, t(`assessment.${found.level}`)),
      make("span", {
        class: `bar ${LOOK[found.level]}`,
        vars: { part: found.score / 100 },
        "aria-hidden": "true",
      }),
    ),
    list(claims.map(([, sentence, , look]) => item(sentence, look))),
    make("h3", {}, t("assessment.todo")),
    list(found.recommendations.map(sentence => item(sentence, "todo"))),
    folded("assessment.score", list(found.parts.map(part))),
    folded(
      "assessment.sources",
      list([...claims, ...found.parts.map(each => [each.name, null, each.source])].map(origin)),
    ),
  )
}

const list = items => make("ul", { class: "claims" }, items)

const folded = (title, content) => make("details", {}, make("summary", {}, t(title)), content)

/** Returns a sentence of the server, marked as English if it has no translation. */
function item(sentence, look) {
  const words = translated(sentence)
  return make("li", { class: look || null, lang: words === null && "en" }, words ?? sentence)
}

function part({ name, points, of, why }) {
  return make(
    "li",
    {},
    t("assessment.part", {
      name: title(name),
      points: number(points),
      of: number(of),
      why: translated(why) ?? why,
    }),
  )
}

const title = name => (has(`assessment.${name}`) ? t(`assessment.${name}`) : name)

/** Returns the sources of a claim, each named once. They are English. */
function origin([name, , source]) {
  const sources = [...new Set(source.split("; "))].join("; ")
  return make(
    "li",
    {},
    `${title(name)}: `,
    make("span", { class: "muted", lang: current() !== "en" && "en" }, sources),
  )
}
