import { Component, type ReactNode } from "react";

interface Props {
  readonly caught: (error: unknown) => void;
  readonly children: ReactNode;
}

/** What is shown where a part of the page could not be drawn. `caught` gets the error. */
export class Catcher extends Component<Props, { failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError(): { failed: boolean } {
    return { failed: true };
  }

  override componentDidCatch(error: unknown): void {
    this.props.caught(error);
  }

  override render(): ReactNode {
    if (!this.state.failed) return this.props.children;
    return (
      <main className="column">
        <section className="notice" role="alert">
          <h1>This page broke</h1>
          <p>The error was reported.</p>
          <button
            type="button"
            data-action="start over"
            onClick={() => window.location.assign("/")}
          >
            Start over
          </button>
        </section>
      </main>
    );
  }
}
