const UNITS: readonly (readonly [Intl.RelativeTimeFormatUnit, number])[] = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
];
const FORMAT = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });

/** How far `iso` is from `now`, in the largest unit that fits: "3 hr. ago", "in 7 days". What is
 * to come is rounded up, as a lifetime of seven days is. */
export function distance(iso: string, now = Date.now()): string {
  const seconds = (Date.parse(iso) - now) / 1000;
  for (const [unit, length] of UNITS) {
    if (Math.abs(seconds) >= length) return FORMAT.format(Math.ceil(seconds / length), unit);
  }
  return "now";
}
