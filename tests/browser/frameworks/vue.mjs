// The elements in Vue: attributes are bound and events heard as for any other element.
import { createApp, h, ref } from "vue";

const data = JSON.parse(document.querySelector("#data").textContent);
const Answer = {
  setup() {
    const heard = ref("nothing");
    const hear = ({ detail }) => (heard.value = `${detail.kind} ${detail.value ?? detail.outcome}`);
    return () => h("div", [
      h("thumbline-thumbs", { receipt: data.receipt, "onThumbline-vote": hear }),
      h("thumbline-pick", { receipt: data.pair.receipt, scale: 5, "onThumbline-vote": hear },
        data.pair.order.map((id) => h("p", { key: id, slot: id }, `Answer ${id}`))),
      h("output", heard.value),
    ]);
  },
};
createApp(Answer).mount("#app");
