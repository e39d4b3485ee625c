/** Keys that nearly every such file has, with a value as only such a file has it: quoted, a list, or a number. */
const settingLine =
  /(?:^|;)[ \t]*(name|memory|kernel|ramdisk|disk|vif|root|extra|cmdline|bootloader|builder|type|vcpus)[ \t]*\+?=[ \t]*(?:["'[(]|\d+[ \t\r]*(?=[;#]|$))/gm;
const OTHERS = /\bubd(?:\d+|[a-z])[rscdt]*=|qemu-system-|^\s*[<{]/;
const MOST_CHARACTERS = 262_144;

/** Whether a text is a configuration for xl, even one that xl refuses. */
export function isXenConfig(text: string): boolean {
  if (text.length > MOST_CHARACTERS || OTHERS.test(text)) return false;
  const keys = new Set([...text.matchAll(settingLine)].map(([, key]) => key));
  return keys.has('disk') || keys.has('kernel') || keys.has('bootloader') ? keys.size >= 2 : keys.size >= 3;
}
