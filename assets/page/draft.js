// Stores the photo, the mask and the settings in this browser tab, so that they are restored after a reload.
// Only this tab can read them; photo and mask are deleted after a day, the settings when the tab is closed.

const OFF = "inpaint-keeps-nothing"; // where this browser remembers that it shall keep nothing
const STORE = "drafts", SETTINGS = "inpaint-settings", DAY = 86_400_000;

export class Draft {
  constructor() {
    this.record = { at: Date.now() };
    this.id = sessionStorage.getItem("inpaint-tab");
    if (!this.id) sessionStorage.setItem("inpaint-tab", (this.id = crypto.randomUUID?.() ?? String(Math.random())));
    this.writing = Promise.resolve();
  }

  get stores() {
    return localStorage.getItem(OFF) !== "1";
  }

  // stores everything from now on, or nothing; then what is stored is deleted, that of other tabs too
  set stores(on) {
    localStorage.setItem(OFF, on ? "0" : "1");
    if (on) return void this.keep({});
    sessionStorage.removeItem(SETTINGS);
    this.writing = this.writing.then(() => store((drafts) => drafts.clear())).catch(() => {});
  }

  // stores these parts beside the ones stored before; null deletes a part
  keep(parts) {
    Object.assign(this.record, parts, { at: Date.now() });
    if (!this.stores) return this.writing;
    this.writing = this.writing.then(() => store((drafts) => drafts.put(this.record, this.id))).catch(() => {});
    return this.writing; // without storage (a private window, a full disk) the page still works, but restores nothing
  }

  // stores the values of all settings, at once: the page may be about to be loaded anew
  set settings(values) {
    if (!this.stores) return;
    try {
      sessionStorage.setItem(SETTINGS, JSON.stringify(values));
    } catch (error) {
      // no storage, as above
    }
  }

  get settings() {
    try {
      return JSON.parse(sessionStorage.getItem(SETTINGS));
    } catch (error) {
      return null;
    }
  }

  // returns {file, name, example, mask, settings} as they were in this tab, or null
  async found() {
    if (!this.stores) return null;
    try {
      const old = await store((drafts) => drafts.get(this.id));
      await store((drafts) => forget(drafts));
      if (old && Date.now() - old.at < DAY && (old.file || old.example)) {
        this.record = old;
        return { ...old, settings: this.settings };
      }
    } catch (error) {
      // no storage, as above
    }
    return null;
  }
}

// makes one request to the store; returns a promise of its result
function store(ask) {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open("inpaint", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const database = opening.result, transaction = database.transaction(STORE, "readwrite");
      const request = ask(transaction.objectStore(STORE));
      transaction.oncomplete = () => { database.close(); resolve(request?.result); };
      transaction.onerror = transaction.onabort = () => { database.close(); reject(transaction.error); };
    };
  });
}

// deletes the drafts of tabs that were closed long ago
function forget(drafts) {
  const walk = drafts.openCursor();
  walk.onsuccess = () => {
    const cursor = walk.result;
    if (!cursor) return;
    if (Date.now() - cursor.value.at >= DAY) cursor.delete();
    cursor.continue();
  };
}
