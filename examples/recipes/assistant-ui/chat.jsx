// The page: assistant-ui shows the conversation, and its own thumbs vote through thumbline's client.
import {
  ActionBarPrimitive,
  AssistantRuntimeProvider,
  ComposerPrimitive,
  generateId,
  MessagePrimitive,
  ThreadPrimitive,
  useAuiState,
  useExternalStoreRuntime,
} from "@assistant-ui/react";
import { useCallback, useState } from "react";
import { createRoot } from "react-dom/client";

// Set by the collector's thumbline.js, which the page loads before this file.
const client = window.thumbline.connect({ surface: "web" });
const VALUES = { positive: "up", negative: "down" };
const TEXTS = { waiting: "Not sent yet", saved: "Saved", refused: "Not saved" };

function Chat() {
  const [messages, setMessages] = useState([]);
  const [isRunning, setIsRunning] = useState(false);
  const change = (id, fields) =>
    setMessages((all) => all.map((one) => (one.id === id ? { ...one, ...fields(one) } : one)));

  const onNew = async ({ content }) => {
    const text = content.map((part) => part.text).join("");
    const id = generateId();
    setMessages((all) => [...all, { id: generateId(), role: "user", text }, { id, role: "assistant", text: "" }]);
    setIsRunning(true);
    const reply = await fetch("/chat", { method: "POST", body: text });
    change(id, () => ({ receipt: reply.headers.get("Thumbline-Receipt") }));
    const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let piece; !(piece = await reader.read()).done; ) {
      const { value } = piece;
      change(id, (one) => ({ text: one.text + value }));
    }
    setIsRunning(false);
  };

  const submit = ({ message, type }) => {
    // The same thumb again takes the vote back: the page keeps which one is pressed, and so can let go of it.
    const isAgain = message.metadata.submittedFeedback?.type === type;
    change(message.id, () => ({ feedback: isAgain ? undefined : { type } }));
    const said = { kind: "thumb", value: isAgain ? "retracted" : VALUES[type] };
    client.send(message.metadata.custom.receipt, said, ({ status }) => change(message.id, () => ({ status })));
  };

  const runtime = useExternalStoreRuntime({
    messages,
    isRunning,
    onNew,
    convertMessage: ({ id, role, text, feedback, receipt, status }) => ({
      id,
      role,
      content: text,
      metadata: { submittedFeedback: feedback, custom: { receipt, status } },
    }),
    adapters: { feedback: { submit } },
  });
  return (
    <AssistantRuntimeProvider runtime={runtime}>
      <ThreadPrimitive.Root>
        <ThreadPrimitive.Messages>{({ message }) => (message.role === "user" ? <Question /> : <Answer />)}</ThreadPrimitive.Messages>
        <ComposerPrimitive.Root>
          <ComposerPrimitive.Input aria-label="Message" autoFocus />
          <ComposerPrimitive.Send>Send</ComposerPrimitive.Send>
        </ComposerPrimitive.Root>
      </ThreadPrimitive.Root>
    </AssistantRuntimeProvider>
  );
}

function Question() {
  return (
    <MessagePrimitive.Root>
      <b><MessagePrimitive.Parts /></b>
    </MessagePrimitive.Root>
  );
}

function Answer() {
  const { receipt, status } = useAuiState(({ message }) => message.metadata.custom);
  // Reports that the thumbs were shown and seen: what a response rate is divided by.
  const watch = useCallback((thumbs) => thumbs && client.watch(thumbs, receipt), [receipt]);
  return (
    <MessagePrimitive.Root>
      <MessagePrimitive.Parts />
      {receipt && (
        <ActionBarPrimitive.Root hideWhenRunning ref={watch}>
          <ActionBarPrimitive.FeedbackPositive aria-label="Good answer">👍</ActionBarPrimitive.FeedbackPositive>
          <ActionBarPrimitive.FeedbackNegative aria-label="Bad answer">👎</ActionBarPrimitive.FeedbackNegative>
          <small role="status">{TEXTS[status]}</small>
        </ActionBarPrimitive.Root>
      )}
    </MessagePrimitive.Root>
  );
}

createRoot(document.querySelector("main")).render(<Chat />);
