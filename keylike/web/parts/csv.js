// The history as a CSV file (RFC 4180) for spreadsheets.

const COLUMNS = ["date", "name", "brand", "keyway", "bitting", "edited", "confidence", "model"]
// Spreadsheets run cells with these first characters as formulas.
const FORMULA = /^[=+\-@\t\r]/
// Tells spreadsheets that the file is UTF-8.
const BYTE_ORDER_MARK = "\ufeff"

/** Returns the file. The confidence of an edited reading is left out, since it no longer holds. */
export function csv(readings) {
  const rows = readings.map(reading => [
    new Date(reading.timestamp).toISOString(),
    reading.name,
    reading.brand,
    reading.keyway,
    reading.bitting,
    reading.edited ? "yes" : "no",
    reading.edited ? "" : reading.confidence,
    reading.model_used,
  ])
  return BYTE_ORDER_MARK + [COLUMNS, ...rows].map(row => `${row.map(cell).join(",")}\r\n`).join("")
}

function cell(value) {
  const text = String(value ?? "")
  const safe = FORMULA.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}
