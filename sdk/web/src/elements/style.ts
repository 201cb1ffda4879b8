// Takes the page's font and colours; what a page may want to change is a custom property or a part.
const CSS = `
:host{display:block;position:relative;font:inherit;color:inherit;--accent:var(--thumbline-accent,light-dark(#0b57d0,#a8c7fa));
--radius:var(--thumbline-radius,.5rem);--gap:var(--thumbline-gap,.5rem)}
:host([hidden]),[hidden]{display:none!important}
.row{display:flex;flex-wrap:wrap;align-items:center;gap:var(--gap)}
button,textarea,label{font:inherit;color:inherit;border-radius:var(--radius)}
button,label{display:inline-flex;align-items:center;justify-content:center;min-width:2rem;min-height:2rem;padding:.2rem .6rem;
border:1px solid color-mix(in srgb,currentColor 45%,transparent);background:none;cursor:pointer;box-sizing:border-box}
button:hover,label:hover{background:color-mix(in srgb,currentColor 10%,transparent)}
button[aria-pressed=true],label:has(:checked){border-color:var(--accent);color:var(--accent);box-shadow:inset 0 0 0 1px var(--accent)}
button[aria-disabled=true]{opacity:.7;cursor:not-allowed}
.icon{border-color:transparent;padding:.2rem}
:focus-visible,label:has(:focus-visible){outline:2px solid var(--accent);outline-offset:2px}
svg{width:1.25rem;height:1.25rem;fill:none;stroke:currentColor;stroke-width:1.75;stroke-linejoin:round}
[aria-pressed=true] svg,.on svg{fill:currentColor;fill-opacity:.35}
.flip svg{transform:scaleY(-1)}
.x{position:absolute;inset-block-start:0;inset-inline-end:0}
.panel{margin-block-start:var(--gap);padding:.75rem;border:1px solid color-mix(in srgb,currentColor 25%,transparent);
border-radius:var(--radius);display:grid;gap:var(--gap);max-width:34rem}
textarea{box-sizing:border-box;width:100%;min-height:4rem;padding:.4rem;background:none;border:1px solid color-mix(in srgb,currentColor 60%,transparent)}
fieldset{border:0;margin:0;padding:0;min-width:0}
legend,.legend{padding:0;margin-block-end:.35rem;font-weight:600}
span:empty{display:none}
.levels{margin-block-start:.75rem}
input{position:absolute;opacity:0;width:1px;height:1px;margin:0}
label{position:relative}
.answers{display:grid;gap:1rem;margin-block-end:.75rem;grid-template-columns:repeat(auto-fit,minmax(min(100%,16rem),1fr))}
:host([stacked]) .answers{grid-template-columns:1fr}
article{display:flex;flex-direction:column;gap:var(--gap);padding:.75rem;min-width:0;
border:1px solid color-mix(in srgb,currentColor 25%,transparent);border-radius:var(--radius)}
article>div{flex:1;overflow-wrap:anywhere}
article.won{border-color:var(--accent);box-shadow:inset 0 0 0 1px var(--accent)}
small{min-height:1.2em}
.stars label{border:0;padding:.1rem;min-width:2rem}
.stars .on{color:var(--accent);box-shadow:none}
@media(prefers-reduced-motion:no-preference){button,label,article{transition:background .15s,box-shadow .15s}}
@media(forced-colors:active){button[aria-pressed=true],label:has(:checked),.on{forced-color-adjust:none;
background:Highlight;color:HighlightText;border-color:Highlight}}
`;

let sheet: CSSStyleSheet | undefined;

/** One style sheet for all elements: made by script, so that no Content-Security-Policy forbids it. */
export function style(): CSSStyleSheet {
  if (!sheet) (sheet = new CSSStyleSheet()).replaceSync(CSS);
  return sheet;
}
