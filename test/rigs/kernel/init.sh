#!/bin/sh
# The first program of the initrd: loads the modules that this machine's devices ask for, mounts the file system that
# root= names (a device, LABEL= or UUID=) and goes on there.
export PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys

root= mode=ro init=/sbin/init types='ext4 ext3 ext2'
for word in $(cat /proc/cmdline); do
  case $word in
    root=*) root=${word#root=} ;;
    ro | rw) mode=$word ;;
    init=*) init=${word#init=} ;;
    rootfstype=*) types=$(echo "${word#rootfstype=}" | tr , ' ') ;;
  esac
done

load_modules() {
  cat $(find /sys/devices -name modalias) | sort -u | xargs modprobe -qab 2>/dev/null
}

find_root() {
  case $root in
    LABEL=* | UUID=*) findfs "$root" 2>/dev/null ;;
    *) [ -b "$root" ] && echo "$root" ;;
  esac
}

modprobe -a crc32c_generic ext4
# Drivers add devices, which ask for further drivers.
attempts=0 loaded=0
until before=$loaded; load_modules; loaded=$(wc -l </proc/modules); [ "$before" = "$loaded" ] && device=$(find_root); do
  attempts=$((attempts + 1))
  if [ $attempts -gt 100 ]; then
    echo "initrd: no root device $root"
    cat /proc/partitions
    poweroff -f
  fi
  [ "$before" = "$loaded" ] && usleep 200000
done

for type in $types; do
  mount -t "$type" -o "$mode" "$device" /new 2>/dev/null && break
done
mount -o move /dev /new/dev
umount /proc /sys
exec switch_root /new "$init"
