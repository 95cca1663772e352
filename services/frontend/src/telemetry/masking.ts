import patterns from "./patterns.json";

export const MASK = "****";

/**
 * What is a secret: the collector's patterns, as `make patterns` makes them of collector/redaction.yaml
 * for the services too. One list of examples goes through all three. What the page sends to Rollbar
 * passes no collector.
 */
const VALUES = patterns.values.map((pattern) => compiled(pattern, "dg"));
const NAMES = patterns.names.map((pattern) => compiled(pattern, ""));

/** What gitleaks knows of vendors' tokens, by the letters that each has in it. */
const RULES = new Map<string, string[]>();
for (const { keywords, pattern } of patterns.rules) {
  for (const keyword of keywords) RULES.set(keyword, [...(RULES.get(keyword) ?? []), pattern]);
}
const compiledRules = new Map<string, RegExp>();
/** One look says of most texts that no rule is about them. Without it and `harmless` a first visit's
 * telemetry took 22.7 ms of the main thread, with them 16.4. */
const ANY_KEYWORD = new RegExp([...RULES.keys()].map(literally).join("|"));

/** Texts without a secret: most values of a span are those of the span before. None with one is kept. */
const harmless = new Set<string>();
const MOST_HARMLESS = 1000;
const LONGEST_HARMLESS = 256;

/** As many characters of a text as the collector's receiver keeps bytes; masking more holds up the page. */
const LONGEST = 65_536;
const LONGEST_SECRET = 4096;

function literally(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&");
}

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

/** Those of gitleaks' rules whose letters are in the text: mostly none. */
function rulesFor(text: string): RegExp[] {
  const lowered = text.toLowerCase();
  if (!ANY_KEYWORD.test(lowered)) return [];
  const found = [...RULES].filter(([keyword]) => lowered.includes(keyword));
  return [...new Set(found.flatMap(([, rules]) => rules))].map((rule) => {
    const known = compiledRules.get(rule) ?? compiled(rule, "dg");
    compiledRules.set(rule, known);
    return known;
  });
}

/** `text` with `****` in place of each secret; quotes around one stay. What is too long is cut. */
export function mask(text: string): string {
  if (harmless.has(text)) return text;
  if (text.length <= LONGEST) {
    const clean = masked(text, text.length);
    if (clean === text && text.length <= LONGEST_HARMLESS) {
      if (harmless.size >= MOST_HARMLESS) harmless.clear();
      harmless.add(text);
    }
    return clean;
  }
  const seen = masked(text.slice(0, LONGEST + LONGEST_SECRET), LONGEST);
  return `${seen} (cut here: ${LONGEST} characters are kept)`;
}

function masked(text: string, length: number): string {
  const found = [...VALUES, ...rulesFor(text)].flatMap((pattern) =>
    [...text.matchAll(pattern)].flatMap(secretIn),
  );
  found.sort(([a, b], [c, d]) => a - c || b - d);
  let clean = "";
  let done = 0;
  for (const [start, end] of found) {
    if (start >= length) break;
    if (start >= done) clean += text.slice(done, start) + MASK;
    done = Math.max(done, end);
  }
  return clean + text.slice(done, Math.max(done, length));
}

type Span = [start: number, end: number];
type Groups = Partial<Record<string, Span>>;

/** Where the secret of a match is: the group `secret`; `mixed` with a digit; `card`, `iban` with right
 * check digits; `ssn`; else all. */
function secretIn(match: RegExpExecArray): Span[] {
  const { card, iban, ssn, mixed, secret }: Groups = match.indices?.groups ?? {};
  if (card) return checks(match.input.slice(...card)) ? [card] : [];
  if (iban) return ibanChecks(match.input.slice(...iban)) ? [iban] : [];
  if (ssn) return [ssn];
  if (mixed) return /\d/.test(match.input.slice(...mixed)) ? [mixed] : [];
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
