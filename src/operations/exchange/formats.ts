/* What the command line needs to know of formats. */
export {
  compressionFormats,
  splitCompressedName,
  type CompressionFormat,
} from '../../codec/compression-format.ts';
