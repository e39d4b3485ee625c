#!/bin/sh
# The first program of the initrd: loads the modules that this machine's devices ask for, mounts the file system that
# root= names (a device, LABEL= or UUID=) and goes on there. It starts few programs, because each takes long on an
# emulated processor.
export PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys

root= mode=ro init=/sbin/init types='ext4 ext3 ext2'
read -r line </proc/cmdline
for word in $line; do
  case $word in
    root=*) root=${word#root=} ;;
    ro | rw) mode=$word ;;
    init=*) init=${word#init=} ;;
    rootfstype=*) types=$(echo "${word#rootfstype=}" | tr , ' ') ;;
  esac
done

# Prints nothing while the device is not there.
find_root() {
  case $root in
    LABEL=* | UUID=*) findfs "$root" 2>/dev/null ;;
    *) [ -b "$root" ] && echo "$root" ;;
  esac
}

# Drivers add devices, which ask for further drivers: go on until there are no new ones. No device asks for evdev, by which
# programs hear of the power button.
unasked='crc32c_generic ext4 evdev' attempts=0 seen=
until
  before=$seen
  seen=$(cat /sys/bus/[apsvx]*/devices/*/modalias 2>/dev/null)
  [ "$before" = "$seen" ] || modprobe -qab $unasked $seen 2>/dev/null
  unasked=
  [ "$before" = "$seen" ] && device=$(find_root)
do
  attempts=$((attempts + 1))
  if [ $attempts -gt 100 ]; then
    echo "initrd: no root device $root"
    cat /proc/partitions
    poweroff -f
  fi
  [ "$before" = "$seen" ] && usleep 200000
done

for type in $types; do
  mount -t "$type" -o "$mode" "$device" /new 2>/dev/null && break
done
mount -o move /dev /new/dev
# What an appended archive has put into /run goes to the guest, as other initial RAM disks do it.
mount -o move /run /new/run 2>/dev/null
umount /proc /sys
exec switch_root /new "$init"
