import { useState } from "react";

export type Theme = "light" | "dark";
const KEY = "cruddur.theme";

/** The theme that is shown, and what switches it. What the user chose outlives the page. */
export function useTheme(): [Theme, () => void] {
  const [theme, setTheme] = useState<Theme>(() => apply(chosen() ?? preferred()));
  const toggle = (): void => {
    const next = theme === "dark" ? "light" : "dark";
    try {
      window.localStorage.setItem(KEY, next);
    } catch {
      // Storage can be forbidden; the choice then ends with the page.
    }
    setTheme(apply(next));
  };
  return [theme, toggle];
}

function apply(theme: Theme): Theme {
  document.documentElement.dataset.theme = theme;
  return theme;
}

function preferred(): Theme {
  return window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

function chosen(): Theme | null {
  try {
    const kept = window.localStorage.getItem(KEY);
    return kept === "light" || kept === "dark" ? kept : null;
  } catch {
    return null;
  }
}
