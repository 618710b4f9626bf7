/** What a back end signs visitor tokens with. The secret never leaves it: this play is no example of a page. */
export interface Issuer { account: string; channel: string; keyId: string; secret: string }

/** Signs a token for a visitor, with what the back end knows of them. */
export async function visitorToken(issuer: Issuer, visitor: string, vouched: { email?: string; name?: string } = {}) {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: issuer.channel, aud: "frontdesk", sub: visitor, account: issuer.account, nbf: now, exp: now + 3600, ...vouched,
  };
  const bytes = (text: string) => new TextEncoder().encode(text);
  const encode = (part: Uint8Array) =>
    btoa(String.fromCharCode(...part)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const signed = [{ alg: "HS256", typ: "JWT", kid: issuer.keyId }, claims].map((part) => encode(bytes(JSON.stringify(part)))).join(".");
  // The key is the characters of the secret, which are not decoded.
  const key = await crypto.subtle.importKey("raw", bytes(issuer.secret), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return `${signed}.${encode(new Uint8Array(await crypto.subtle.sign("HMAC", key, bytes(signed))))}`;
}
