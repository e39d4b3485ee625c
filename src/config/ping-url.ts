/** The form that `isPingUrl` accepts, for messages. */
export const pingUrlForm = 'an http:// or https:// URL, such as https://hc-ping.com/UUID';

/** Whether runs can be reported to this URL. */
export function isPingUrl(text: string): boolean {
  return text.length <= 2000 && URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}
