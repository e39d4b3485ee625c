/** The name of a program that runs guests of QEMU. Distributions have several. */
export function isQemuProgram(name: string): boolean {
  return /^(?:qemu-system-[\w-]+|qemu|kvm|qemu-kvm)$/.test(name);
}
