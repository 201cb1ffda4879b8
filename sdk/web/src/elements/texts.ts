const en = {
  rate: "Rate this answer",
  up: "Good answer",
  down: "Bad answer",
  why: "What was wrong?",
  wrong: "Wrong",
  unhelpful: "Not helpful",
  too_long: "Too long",
  unsafe: "Unsafe",
  comment: "Anything else? (optional)",
  send: "Send",
  close: "Close",
  edit: "Improve this answer",
  compare: "Which answer is better?",
  answer: "Answer {n}",
  better: "Answer {n} is better",
  tie: "Equally good",
  both_bad: "Both bad",
  all_bad: "All bad",
  skip: "Skip",
  busy: "The answers are still being written.",
  strength: "How much better?",
  strength_1: "Slightly",
  strength_2: "Clearly",
  strength_3: "Much",
  strength_4: "Very much",
  rating: "Your rating",
  score: "{n} of {max}",
  clear: "Take back",
  waiting: "Not sent yet",
  saved: "Saved",
  refused: "Not saved",
};

/** Name -> text that a person reads. `{n}` and `{max}` are filled in. */
export type Texts = typeof en;

const de: Texts = {
  rate: "Diese Antwort bewerten",
  up: "Gute Antwort",
  down: "Schlechte Antwort",
  why: "Was war nicht gut?",
  wrong: "Falsch",
  unhelpful: "Nicht hilfreich",
  too_long: "Zu lang",
  unsafe: "Bedenklich",
  comment: "Noch etwas? (freiwillig)",
  send: "Senden",
  close: "Schließen",
  edit: "Antwort verbessern",
  compare: "Welche Antwort ist besser?",
  answer: "Antwort {n}",
  better: "Antwort {n} ist besser",
  tie: "Gleich gut",
  both_bad: "Beide schlecht",
  all_bad: "Alle schlecht",
  skip: "Überspringen",
  busy: "Die Antworten werden noch geschrieben.",
  strength: "Wie viel besser?",
  strength_1: "Etwas",
  strength_2: "Deutlich",
  strength_3: "Viel",
  strength_4: "Sehr viel",
  rating: "Ihre Bewertung",
  score: "{n} von {max}",
  clear: "Zurücknehmen",
  waiting: "Noch nicht gesendet",
  saved: "Gespeichert",
  refused: "Nicht gespeichert",
};

const es: Texts = {
  rate: "Valorar esta respuesta",
  up: "Buena respuesta",
  down: "Mala respuesta",
  why: "¿Qué falló?",
  wrong: "Incorrecta",
  unhelpful: "No es útil",
  too_long: "Demasiado larga",
  unsafe: "Peligrosa",
  comment: "¿Algo más? (opcional)",
  send: "Enviar",
  close: "Cerrar",
  edit: "Mejorar la respuesta",
  compare: "¿Qué respuesta es mejor?",
  answer: "Respuesta {n}",
  better: "La respuesta {n} es mejor",
  tie: "Igual de buenas",
  both_bad: "Ambas malas",
  all_bad: "Todas malas",
  skip: "Omitir",
  busy: "Las respuestas aún se están escribiendo.",
  strength: "¿Cuánto mejor?",
  strength_1: "Un poco",
  strength_2: "Claramente",
  strength_3: "Mucho",
  strength_4: "Muchísimo",
  rating: "Su valoración",
  score: "{n} de {max}",
  clear: "Retirar",
  waiting: "Aún sin enviar",
  saved: "Guardado",
  refused: "No guardado",
};

const shipped: Record<string, Texts> = { en, de, es };

/** The texts in the language of an element, with those put over them that its `texts` attribute has (JSON). */
export function textsOf(element: Element): Texts & Record<string, string> {
  let said = "";
  for (let at: Element | undefined = element; at && !said; at = (at.getRootNode() as ShadowRoot).host) {
    said = at.closest("[lang]")?.getAttribute("lang") ?? "";
  }
  const lang = said || navigator.language;
  const texts = { ...(shipped[lang.slice(0, 2).toLowerCase()] ?? en) };
  try {
    Object.assign(texts, JSON.parse(element.getAttribute("texts") || "{}"));
  } catch (error) {
    console.warn("thumbline: texts:", error);
  }
  return texts;
}

/** A text with its places filled in. */
export function filled(text: string, n: number | string, max?: number): string {
  return text.replace("{n}", `${n}`).replace("{max}", `${max}`);
}
