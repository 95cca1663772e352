import patterns from "./secrets.json";

export const MASK = "****";

/**
 * What is a secret: the services' own patterns (services/serving/serving/redaction.py), which are the
 * collector's. A test holds the three equal, and one list of examples goes through all. What the page
 * sends to Rollbar passes no collector.
 */
const VALUES = patterns.values.map((pattern) => compiled(pattern, "dg"));
const NAMES = patterns.names.map((pattern) => compiled(pattern, ""));

/** Python's `(?i)` and `(?P<name>`, as JavaScript writes them. */
function compiled(pattern: string, flags: string): RegExp {
  const anyCase = pattern.startsWith("(?i)");
  const source = pattern.replace(/^\(\?i\)/, "").replaceAll("(?P<", "(?<");
  return new RegExp(source, anyCase ? `${flags}i` : flags);
}

/** Whether what stands under this name is a secret, whatever it is. */
export function isSecretName(name: string): boolean {
  return NAMES.some((pattern) => pattern.test(name));
}

/** `text` with `****` in place of each secret; quotes around one stay. */
export function mask(text: string): string {
  const found = VALUES.flatMap((pattern) => [...text.matchAll(pattern)].flatMap(secretIn));
  found.sort(([a, b], [c, d]) => a - c || b - d);
  let masked = "";
  let done = 0;
  for (const [start, end] of found) {
    if (start >= done) masked += text.slice(done, start) + MASK;
    done = Math.max(done, end);
  }
  return masked + text.slice(done);
}

type Span = [start: number, end: number];
type Groups = Partial<Record<string, Span>>;

/** Where the secret of a match is: the group `secret`; `card`, `iban` with right check digits; else all. */
function secretIn(match: RegExpExecArray): Span[] {
  const { card, iban, secret }: Groups = match.indices?.groups ?? {};
  if (card) return checks(match.input.slice(...card)) ? [card] : [];
  if (iban) return ibanChecks(match.input.slice(...iban)) ? [iban] : [];
  if (secret) return withoutQuotes(match.input, secret);
  return [[match.index, match.index + match[0].length]];
}

function withoutQuotes(text: string, [from, to]: Span): Span[] {
  let [start, end] = [from, to];
  const value = text.slice(start, end);
  const inner = value.replace(/^\\+/, "");
  if (inner.startsWith('"') || inner.startsWith("'")) {
    start += value.length - inner.length + 1;
    if (end > start && text[end - 1] === inner[0]) {
      end -= 1;
      while (inner.length < value.length && end > start && text[end - 1] === "\\") end -= 1;
    }
  }
  return start < end ? [[start, end]] : [];
}

/** Luhn's check digit: it is right in every card, and in one of ten numbers. */
function checks(card: string): boolean {
  const digits = (card.replaceAll("%20", "").match(/\d/g) ?? []).map(Number).reverse();
  const sum = digits.reduce((total, digit, at) => {
    const doubled = 2 * digit;
    return total + (at % 2 === 0 ? digit : doubled > 9 ? doubled - 9 : doubled);
  }, 0);
  return sum % 10 === 0;
}

/** An IBAN's check digits: they are right in one of 97 texts of that form. */
function ibanChecks(iban: string): boolean {
  const plain = iban.replace(/%20|[ +]/g, "");
  const rest = Array.from(plain.slice(4) + plain.slice(0, 4)).reduce((sum, one) => {
    const value = parseInt(one, 36);
    return (sum * (value > 9 ? 100 : 10) + value) % 97;
  }, 0);
  return rest === 1;
}
