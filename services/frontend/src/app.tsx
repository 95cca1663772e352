import { useCallback, useEffect, useRef, useState, type SubmitEvent } from "react";

import type { Activity, Api } from "./api/client.ts";
import { go, useAddress, viewOf, type View } from "./location.ts";
import { Compose } from "./parts/compose.tsx";
import { ErrorButton } from "./parts/error-button.tsx";
import { Feed } from "./parts/feed.tsx";
import { Link } from "./parts/link.tsx";
import { useTheme } from "./parts/theme.ts";

interface Props {
  readonly api: Api;
  /** Whether to offer the button that raises errors. */
  readonly debug: boolean;
  /** The trace of what the user does now; undefined without telemetry. */
  readonly traceId: () => string | undefined;
}

export function App({ api, debug, traceId }: Props) {
  const view = viewOf(useAddress());
  const title = titleOf(view);
  const heading = useRef<HTMLHeadingElement>(null);
  const first = useRef(true);
  // Here, for it to be there after a look at somebody's page.
  const [draft, setDraft] = useState("");

  useEffect(() => {
    document.title = view.kind === "home" ? "Cruddur" : `${title} · Cruddur`;
    // Who uses a screen reader hears that the page is another one now.
    if (first.current) first.current = false;
    else heading.current?.focus({ preventScroll: true });
  }, [title, view.kind]);

  return (
    <>
      <a className="skip" href="#main">
        To the feed
      </a>
      <Header view={view} />
      <main id="main" className="column" tabIndex={-1}>
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        <Shown view={view} api={api} draft={draft} write={setDraft} />
      </main>
      {debug && (
        <footer className="column">
          <ErrorButton fail={api.fail} traceId={traceId} />
        </footer>
      )}
    </>
  );
}

function titleOf(view: View): string {
  switch (view.kind) {
    case "home":
      return "Home";
    case "person":
      return `@${view.handle}`;
    case "search":
      return view.term ? `Search: ${view.term}` : "Search";
    case "missing":
      return "No such page";
  }
}

interface Writing {
  readonly draft: string;
  readonly write: (message: string) => void;
}

function Shown({ view, api, ...writing }: { readonly view: View; readonly api: Api } & Writing) {
  switch (view.kind) {
    case "home":
      return <Home api={api} {...writing} />;
    case "person":
      return <Person key={view.handle} handle={view.handle} person={api.person} />;
    case "search":
      return <Found key={view.term} term={view.term} search={api.search} />;
    case "missing":
      return (
        <p className="notice">
          There is nothing at {view.path}.{" "}
          <Link href="/" data-action="open home">
            Home
          </Link>
        </p>
      );
  }
}

function Home({ api, draft, write }: { readonly api: Api } & Writing) {
  const [fresh, setFresh] = useState<readonly Activity[]>([]);
  return (
    <>
      <Compose
        post={api.post}
        posted={(one) => setFresh((before) => [one, ...before])}
        message={draft}
        write={write}
      />
      <Feed load={api.home} fresh={fresh} empty="Nobody has said anything yet." />
    </>
  );
}

function Person({ handle, person }: { readonly handle: string; readonly person: Api["person"] }) {
  const load = useCallback((signal: AbortSignal) => person(handle, signal), [person, handle]);
  return <Feed load={load} empty={`@${handle} has said nothing that is still here.`} />;
}

function Found({ term, search }: { readonly term: string; readonly search: Api["search"] }) {
  const load = useCallback((signal: AbortSignal) => search(term, signal), [search, term]);
  return <Feed load={load} empty={`Nothing here holds “${term}”.`} />;
}

function searchFor(event: SubmitEvent<HTMLFormElement>): void {
  event.preventDefault();
  const term = new FormData(event.currentTarget).get("term");
  if (typeof term === "string") go(`/search?${new URLSearchParams({ term })}`);
}

function Header({ view }: { readonly view: View }) {
  const [theme, toggle] = useTheme();
  return (
    <header>
      <div className="column bar">
        <Link href="/" className="brand" data-action="open home">
          <img src="/icon.svg" alt="" width="28" height="28" />
          <span>Cruddur</span>
        </Link>
        <form role="search" data-action="search" onSubmit={searchFor}>
          <label className="unseen" htmlFor="term">
            Search
          </label>
          <input
            key={view.kind === "search" ? view.term : ""}
            id="term"
            name="term"
            type="search"
            placeholder="Search"
            defaultValue={view.kind === "search" ? view.term : ""}
          />
        </form>
        <button
          type="button"
          className="icon"
          data-action="switch theme"
          aria-label={theme === "dark" ? "Light theme" : "Dark theme"}
          onClick={toggle}
        >
          <span aria-hidden="true">{theme === "dark" ? "☀" : "☾"}</span>
        </button>
      </div>
    </header>
  );
}
