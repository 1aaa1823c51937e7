"""CSS for the run report only, in the colours of `charts.markup`."""

STYLE = """
h3 { font-size: 1.05rem; margin: 1.75rem 0 .5rem; }
a { color: var(--best); }
a:focus-visible, summary:focus-visible { outline: 2px solid var(--best); outline-offset: 2px; }
.skip { position: absolute; left: -100vw; background: var(--paper); padding: .5rem 1rem; }
.skip:focus { left: .5rem; top: .5rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1rem; list-style: none; margin: 1rem 0 0; padding: 0; }
summary { cursor: pointer; color: var(--best); padding: .25rem 0; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(7rem, 1fr)); gap: 1rem .75rem;
  margin: .75rem 0; padding: 0; list-style: none; }
.pictures figure { margin: 0; }
.pictures figcaption { font-size: .8rem; line-height: 1.3; overflow-wrap: anywhere; }
img { image-rendering: pixelated; display: block; max-width: 100%; }
.pictures img { width: 96px; height: 96px; }
.samples img { height: 64px; width: auto; max-width: none; }
.heat { display: block; padding: .1rem .4rem; min-width: 2.5rem;
  background: color-mix(in srgb, var(--best) calc(var(--share) * 45%), var(--paper)); }
.heat.miss { background: color-mix(in srgb, var(--first) calc(var(--share) * 45%), var(--paper)); }
.bad { color: var(--bad); font-weight: 700; }
svg .node rect { fill: var(--band); stroke: var(--faint); }
svg .node.not rect { fill: none; stroke: var(--rule); }
svg .node.cached rect { stroke-dasharray: 4 3; }
svg .node.failed rect, svg .node.interrupted rect { stroke: var(--bad); stroke-width: 2.5; }
svg .node.running rect { stroke: var(--first); stroke-width: 2.5; }
svg .node .name { font-weight: 700; }
svg .edge { fill: none; stroke: var(--faint); stroke-width: 1.5; }
@media (max-width: 40rem) { th[scope=row] { position: static; white-space: normal; min-width: 6rem; } }
@media print {
  nav, .skip { display: none; }
  h3, p.note { break-after: avoid; }
  .pictures li { break-inside: avoid; }
}
"""
