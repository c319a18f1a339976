"use strict";
// Says that there is news and waits: the page never moves by itself. A tab that nobody looks at listens to nothing.
const page = document.body.dataset;
const link = document.getElementById("news");
let source = null;

function listen() {
  if (document.hidden) {
    source?.close();
    source = null;
  } else if (source === null && !link.classList.contains("is-there")) {
    const query = new URLSearchParams({ after: page.news, about: page.about });
    source = new EventSource(`/news?${query}`);
    source.addEventListener("news", () => {
      source.close();
      link.classList.add("is-there");
      document.title = `• ${document.title}`;
    });
  }
}

if (page.news !== undefined) {
  document.addEventListener("visibilitychange", listen);
  listen();
}
