// Passkeys in this browser: make one, use one. Options come from the server as JSON (W3C Web Authentication level 3,
// section 5.1.8 and 5.1.9), and what the authenticator answers goes back as JSON.

/** Whether this browser and this address know passkeys. */
export const known = () => window.isSecureContext && "PublicKeyCredential" in window;

/** Whether the browser offers passkeys where a name is typed. */
export async function offersInFields() {
  return known() && Boolean(await PublicKeyCredential.isConditionalMediationAvailable?.());
}

/** Make a passkey. optionsJSON: as the server gave it. The answer as JSON text. Throws when the person says no. */
export async function create(optionsJSON) {
  const options = read(optionsJSON);
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON?.(options) ?? {
    ...options,
    challenge: octets(options.challenge),
    user: { ...options.user, id: octets(options.user.id) },
    excludeCredentials: (options.excludeCredentials ?? []).map((one) => ({ ...one, id: octets(one.id) })),
  };
  return told(await navigator.credentials.create({ publicKey }));
}

/** Use a passkey. inField: wait until one is chosen where a name is typed; signal: ends the wait. */
export async function get(optionsJSON, { inField = false, signal } = {}) {
  const options = read(optionsJSON);
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON?.(options) ?? {
    ...options,
    challenge: octets(options.challenge),
    allowCredentials: (options.allowCredentials ?? []).map((one) => ({ ...one, id: octets(one.id) })),
  };
  return told(await navigator.credentials.get({ publicKey, signal, ...(inField && { mediation: "conditional" }) }));
}

/** Tell the browser which passkey opens nothing here any more, so that it stops offering it. */
export async function forget(rpId, credentialId) {
  await PublicKeyCredential.signalUnknownCredential?.({ rpId, credentialId }).catch(() => undefined);
}

function read(options) {
  return typeof options === "string" ? JSON.parse(options) : options;
}

function told(credential) {
  if (credential.toJSON) {
    try {
      return JSON.stringify(credential.toJSON());
    } catch {
      // Some password managers put a credential of their own in its place, whose toJSON fails.
    }
  }
  const { response } = credential;
  const part = (name) => (response[name] ? text(response[name]) : undefined);
  return JSON.stringify({
    id: credential.id,
    rawId: text(credential.rawId),
    type: credential.type,
    response: {
      clientDataJSON: part("clientDataJSON"),
      attestationObject: part("attestationObject"),
      authenticatorData: part("authenticatorData"),
      signature: part("signature"),
      userHandle: part("userHandle"),
      transports: response.getTransports?.() ?? [],
    },
  });
}

function octets(base64url) {
  const padded = base64url.replaceAll("-", "+").replaceAll("_", "/");
  return Uint8Array.from(atob(padded), (letter) => letter.charCodeAt(0));
}

function text(buffer) {
  const letters = Array.from(new Uint8Array(buffer), (one) => String.fromCharCode(one)).join("");
  return btoa(letters).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
