/** What `isPingUrl` takes, in words. */
export const pingUrlForm = 'an http:// or https:// URL, such as https://hc-ping.com/UUID';

/** Whether it can be told there how a run went. */
export function isPingUrl(text: string): boolean {
  return text.length <= 2000 && URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}
