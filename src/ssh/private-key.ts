const MAGIC = 'openssh-key-v1\0';

/**
 * The public key in a private key file of OpenSSH's own format, where it is in clear text even if the file is encrypted
 * (PROTOCOL.key: magic, cipher name, kdf name, kdf options, number of keys, public key). null for any other text.
 */
export function publicKeyInside(text: string): Buffer | null {
  const armoured = /-----BEGIN OPENSSH PRIVATE KEY-----([\s\S]*?)-----END OPENSSH PRIVATE KEY-----/.exec(
    text,
  );
  const bytes = Buffer.from(armoured?.[1] ?? '', 'base64');
  if (bytes.toString('latin1', 0, MAGIC.length) !== MAGIC) return null;
  let position = MAGIC.length;
  const readField = (): Buffer | null => {
    if (position + 4 > bytes.length) return null;
    const start = position + 4;
    position = start + bytes.readUInt32BE(position);
    return position > bytes.length ? null : bytes.subarray(start, position);
  };
  for (let field = 0; field < 3; field++) if (readField() === null) return null;
  position += 4;
  return readField();
}
