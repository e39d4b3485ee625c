#!/bin/sh
# Says on the guest's console how it has booted.
exec >/dev/console 2>&1
# sysvinit starts it beside the scripts of the runlevel.
while pgrep -x rc >/dev/null; do sleep 1; done
if [ -d /run/systemd/system ]; then
  echo "REPORT failed=$(systemctl --failed --plain --no-legend | cut -d' ' -f1 | xargs)"
  # Others wait for the report itself.
  echo "REPORT running=$(systemctl list-jobs --plain --no-legend | grep running | grep -v report.service | xargs)"
fi
echo "REPORT cards=$(ls /sys/class/net | xargs)"
echo "REPORT address=$(ip -4 -o address show scope global | xargs)"
echo "REPORT root=$(findmnt -no OPTIONS / | cut -d, -f1)"
echo "REPORT former=$(readlink -f /dev/ubda)"
echo "REPORT getty=$(pgrep -ax agetty | xargs) $(pgrep -ax getty | xargs)"
echo "REPORT end"
