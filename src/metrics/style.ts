/** The page's one style sheet; its hash stands in the page's policy. Light and dark, by what the reader's system says. */
export const pageStyle = `
:root { color-scheme: light dark; --ground: #fbfbfa; --panel: #fff; --text: #1c1f23; --quiet: #5b636d; --line: #dfe2e6; --c1: #1f6feb; --c2: #c2410c; --c3: #64748b; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #0f1216; --panel: #171b21; --text: #e8eaed; --quiet: #9aa4af; --line: #2b323b; --c1: #5aa2ff; --c2: #f59450; --c3: #8b98a9; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 28px 20px 48px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0; }
h2 { font-size: 18px; margin: 36px 0 12px; }
h3 { font-size: 15px; margin: 0; }
p { margin: 4px 0; color: var(--quiet); }
.headline { display: grid; grid-template-columns: minmax(260px, 2fr) 3fr; gap: 24px; background: var(--panel); border: 1px solid var(--line); border-radius: 10px; padding: 20px; margin-top: 20px; }
.big { font-size: 56px; line-height: 1; font-weight: 650; color: var(--c1); margin: 0 0 8px; }
.headline ul { list-style: none; margin: 0; padding: 0; display: grid; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); gap: 14px; }
.headline li b { display: block; font-size: 24px; line-height: 1.2; font-variant-numeric: tabular-nums; }
.headline li span { color: var(--quiet); font-size: 13px; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)); gap: 16px; }
figure { margin: 0; background: var(--panel); border: 1px solid var(--line); border-radius: 10px; padding: 16px; min-width: 0; }
figcaption p { font-size: 13px; }
svg { display: block; width: 100%; height: auto; }
.grid { stroke: var(--line); stroke-width: 1; }
.mark { fill: var(--quiet); font: 12px system-ui, sans-serif; }
rect.c1, circle.c1 { fill: var(--c1); } rect.c2, circle.c2 { fill: var(--c2); } rect.c3, circle.c3 { fill: var(--c3); }
rect.rest { fill: var(--line); }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.line.c1 { stroke: var(--c1); } .line.c2 { stroke: var(--c2); stroke-dasharray: 6 4; } .line.c3 { stroke: var(--c3); stroke-dasharray: 2 3; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 4px 16px; margin: 4px 0 6px; padding: 0; font-size: 13px; color: var(--quiet); }
.key { display: inline-block; width: 12px; height: 12px; border-radius: 3px; margin-right: 6px; vertical-align: -1px; }
.key.c1 { background: var(--c1); } .key.c2 { background: var(--c2); } .key.c3 { background: var(--c3); }
.spark { width: 120px; height: 20px; } .spark .c1 { fill: var(--c1); } .spark .c2 { fill: var(--c2); }
.share { height: 10px; min-width: 60px; border-radius: 5px; }
.headline .share { margin-top: 12px; }
details { margin-top: 8px; font-size: 13px; }
summary { cursor: pointer; color: var(--quiet); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13px; font-variant-numeric: tabular-nums; background: var(--panel); }
caption { text-align: left; font-weight: 600; padding: 6px 0; }
figure caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
th, td { text-align: right; padding: 5px 10px; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child { text-align: left; font-weight: 500; }
thead th { color: var(--quiet); font-weight: 500; }
.chapters { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 340px), 1fr)); gap: 16px; align-items: start; }
.chapters table { border: 1px solid var(--line); border-radius: 10px; border-collapse: separate; border-spacing: 0; padding: 8px 14px; }
.chapters th, .chapters td { padding: 5px 0; white-space: normal; }
.chapters tr:last-child > * { border-bottom: 0; }
footer { margin-top: 36px; font-size: 13px; }
@media (max-width: 720px) { .headline { grid-template-columns: 1fr; } }
@media print { figure, .headline { break-inside: avoid; } }
`
