"""Style the page: light and dark, a wide screen and a phone. Nothing is fetched."""

from __future__ import annotations

# The browser itself refuses whatever would leave the page or run in it.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

# Text on its ground has a contrast of at least 4.5, lines and bars of at least 3 (WCAG 2.2, AA).
STYLE = """
:root {
  color-scheme: light dark;
  --ground: #ffffff; --card: #f4f6f9; --ink: #18202b; --muted: #56606e; --line: #d5dbe3;
  --accent: #2055a5; --accent-2: #568bd4; --empty: #868f9c;
  --good: #18794a; --warn: #8f5600; --bad: #bb2530; --other: #7539ad;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #11151b; --card: #1a2029; --ink: #e7ebf1; --muted: #a5afbd; --line: #343e4b;
    --accent: #82b4ff; --accent-2: #4a7fc4; --empty: #6b7787;
    --good: #4fc48d; --warn: #e3a842; --bad: #ff8080; --other: #c69cff;
  }
}
* { box-sizing: border-box; }
body {
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; margin: 0 auto; max-width: 72rem;
  padding: 1rem; background: var(--ground); color: var(--ink); overflow-wrap: break-word;
}
h1 { font-size: 1.5rem; line-height: 1.25; margin: .5rem 0; }
h2 { font-size: 1.15rem; line-height: 1.3; margin: 0 0 .5rem; scroll-margin-top: 1rem; }
h3 { font-size: 1rem; margin: 1rem 0 .25rem; }
p, ul { margin: .25rem 0 .75rem; } ul { padding-left: 1.2rem; }
a { color: var(--accent); }
code, .id { font: .875em ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
.muted, caption, figcaption, summary, footer { color: var(--muted); }
.pill {
  display: inline-block; font-size: .8em; padding: .1em .7em; border-radius: 2em;
  border: 1px solid currentColor; vertical-align: middle; white-space: nowrap;
}
.done { color: var(--good); } .partial { color: var(--warn); } .failed { color: var(--bad); }
.drift, .unknown { color: var(--other); }
nav ul, .key, .cards { list-style: none; padding: 0; }
nav ul, .key { display: flex; flex-wrap: wrap; gap: .25rem 1rem; } nav ul { margin: 0; }
nav a { display: inline-block; padding: .25rem 0; }
.tiles {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(10.5rem, 1fr)); gap: .75rem;
  margin: 0; padding: 0;
}
.tiles > div, section { background: var(--card); border-radius: .75rem; padding: 1rem; }
.head { background: none; padding: 0; }
dl { margin: 0; } dt { color: var(--muted); font-size: .875rem; } dd { margin: 0; }
.big { font-size: 1.75rem; font-weight: 650; line-height: 1.2; font-variant-numeric: tabular-nums; }
.tiles .muted { font-size: .875rem; }
main, .columns, .columns > div { display: grid; grid-template-columns: minmax(0, 1fr); gap: 1rem; }
.columns > div { align-content: start; }
.alarm { border-left: .3rem solid var(--bad); } .notice { border-left: .3rem solid var(--warn); }
@media (min-width: 60rem) {
  .columns { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); }
}
figure { margin: .5rem 0; } svg { display: block; width: 100%; height: auto; max-width: 27rem; }
svg text { font-family: system-ui, -apple-system, "Segoe UI", sans-serif !important; }
svg.broad { display: none; max-width: none; }
@media (min-width: 60rem) { svg.broad { display: block; } svg.slim { display: none; } }
.wide {
  overflow-x: auto;  /* with a shadow at the side where there is more */
  background:
    linear-gradient(to right, var(--card) 50%, transparent) left / 1.5rem 100% no-repeat local,
    linear-gradient(to left, var(--card) 50%, transparent) right / 1.5rem 100% no-repeat local,
    linear-gradient(to right, var(--line), transparent) left / .75rem 100% no-repeat scroll,
    linear-gradient(to left, var(--line), transparent) right / .75rem 100% no-repeat scroll;
}
.wide:focus-visible { outline: 2px solid var(--accent); }
table { border-collapse: collapse; width: 100%; font-size: .9375rem; }
/* Read to those who don't see the heading above the table. */
caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
th, td {
  padding: .3rem 1rem .3rem 0; text-align: left; vertical-align: top;
  border-top: 1px solid var(--line); font-variant-numeric: tabular-nums;
}
th:last-child, td:last-child { padding-right: 0; }
thead th { border-top: 0; color: var(--muted); font-weight: 500; font-size: .875rem; }
tbody th { font-weight: 500; } .n { text-align: right; } .n, time span { white-space: nowrap; }
[aria-labelledby=runs] td, [aria-labelledby=runs] th { white-space: nowrap; }
summary { cursor: pointer; padding: .25rem 0; }
.key li { font-size: .875rem; color: var(--muted); }
.swatch {
  display: inline-block; width: .8em; height: .8em; border-radius: .15em; margin-right: .4em;
}
.cards li { border-top: 1px solid var(--line); padding: .5rem 0; }
.cards li:first-child { border-top: 0; padding-top: 0; } .cards h3 { margin: 0; }
.cards p { margin: 0; overflow-wrap: anywhere; }
footer { margin: 1.5rem 0 .5rem; font-size: .875rem; }
@media (max-width: 40rem) {
  body { padding: .75rem; } section { padding: .75rem; } .head { padding: 0; }
  .tiles { grid-template-columns: 1fr 1fr; gap: .5rem; } .tiles > div { padding: .75rem; }
  .big { font-size: 1.4rem; } table { font-size: .8125rem; } th, td { padding-right: .5rem; }
}
@media print { section { break-inside: avoid; } }
"""
