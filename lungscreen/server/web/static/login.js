import { ask } from "./api.js";
import { byId } from "./dom.js";

byId("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  byId("said").textContent = "";
  try {
    await ask("/session", "POST", { token: byId("token").value });
    location.assign("/");
  } catch (error) {
    byId("said").textContent = error.message;
  }
});
