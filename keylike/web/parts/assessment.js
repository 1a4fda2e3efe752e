// The assessment: what the code means for the lock's owner, each statement with its source.

import { make } from "./dom.js"

const LEVEL = { weak: "Weak", fair: "Fair", good: "Good" }
const LOOK = { weak: "low", fair: "fair", good: "" }
const PART = {
  key_space: "Number of possible codes",
  pattern: "Pattern of the cuts",
  profile: "Variation of the cuts",
  blank: "Who can copy it",
  bumping: "Bumping",
}

/** Returns the card of an assessment. */
export function assessment(found) {
  return make(
    "div",
    { class: "card" },
    make("h2", {}, "What this means for the lock"),
    make(
      "div",
      { class: "score" },
      make("strong", {}, String(found.score)),
      make("span", {}, `${LEVEL[found.level]}, of 100`),
      make("span", {
        class: `bar ${LOOK[found.level]}`,
        vars: { part: found.score / 100 },
        "aria-hidden": "true",
      }),
    ),
    make(
      "ul",
      { class: "claims" },
      claim(found.keyed_alike.sentence, found.keyed_alike.source),
      found.weak_patterns.map(pattern => claim(pattern.explanation, pattern.source, "worse")),
      claim(found.blank.explanation, found.blank.source, found.blank.value === "free" && "worse"),
      claim(
        found.bump_exposure.explanation,
        found.bump_exposure.source,
        found.bump_exposure.value === "high" && "worse",
      ),
    ),
    make("p", { class: "sub" }, "What to do"),
    make(
      "ul",
      { class: "claims" },
      found.recommendations.map(words => make("li", { class: "todo" }, words)),
    ),
    make("details", {}, make("summary", {}, "How the score is calculated"), parts(found.parts)),
  )
}

const claim = (words, source, look) => make("li", { class: look || null }, words, origin(source))

/** Returns a line with the sources, each named once. */
const origin = source => make("small", {}, `Source: ${[...new Set(source.split("; "))].join("; ")}`)

function parts(all) {
  return make(
    "ul",
    { class: "claims" },
    all.map(part =>
      make(
        "li",
        {},
        `${PART[part.name] ?? part.name}: ${part.points} of ${part.of}. ${part.why}`,
        origin(part.source),
      ),
    ),
  )
}
