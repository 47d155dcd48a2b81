// Elements from text: nothing that comes from a scan is ever read as HTML.

/** A new element; children are elements or text. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

export const byId = (id) => document.getElementById(id);

export const percent = (value) => {
  if (value === null || value === undefined) return "";
  if (value < 0.0005) return "<0.1 %";
  return value >= 0.0995 && value < 0.985 ? `${(100 * value).toFixed(0)} %` : `${(100 * value).toFixed(1)} %`;
};

export const megabytes = (bytes) => `${(bytes / 1024 ** 2).toFixed(1)} MB`;
