"""What runs on a device: scripts for any POSIX shell, each given its words as $1, $2, …, never as text of its own.

A device's folder, its name in $1, holds ``bnnt-device`` (it is ours), ``files/SHA256`` (programs and models, sent
once), ``lock`` (who is at work) and ``run.NUMBER`` (one program at work). Whoever loses its connection reads the end of
its stdin, and clears up.
"""

from __future__ import annotations

REASONS = {
    21: "cannot make or enter the folder",
    22: "cannot write in the folder",
    23: "the folder has other files in it, and bnnt works in folders of its own alone",
    24: "the folder is not one of bnnt's",
}
"""Exit codes of the scripts."""

# Is the process of the lock's line alive? The line: its number, when it started, the system's start, then its owner.
_ALIVE = r"""
boot() { cat /proc/sys/kernel/random/boot_id 2>/dev/null; }
began() { cut -d" " -f22 "/proc/$1/stat" 2>/dev/null; }
alive() {
  read -r number start system owner < lock 2>/dev/null || return 1
  [ "$system" = "$(boot)" ] && [ "$start" = "$(began "$number")" ]
}
"""

PREPARE = r"""
umask 077
[ -d "$1" ] || mkdir "$1" || exit 21
cd "$1" || exit 21
if [ ! -f bnnt-device ]; then
  [ -z "$(ls -A)" ] || exit 23
  : > bnnt-device || exit 22
fi
[ -d files ] || mkdir files || exit 22
: > files/written || exit 22
rm files/written
echo prepared
"""

# $2: the owner's name. Prints "held" and stays until its stdin ends, or "busy" and who holds it.
# A lock whose file is still empty was made a moment ago; one whose process is gone is taken over.
HOLD = (
    _ALIVE
    + r"""
cd "$1" || exit 21
trap "" HUP PIPE INT TERM
tries=0
until (set -C; echo "$$ $(began $$) $(boot) $2" > lock) 2>/dev/null; do
  if alive; then echo busy; echo "$owner"; exit; fi
  tries=$((tries + 1))
  [ "$tries" -lt 5 ] || exit 22
  sleep 1
  if ! alive && [ -f lock ]; then mv lock "lock.$$" && rm "lock.$$"; fi
done 2>/dev/null
rm -rf run.*
rm -f files/*.part
echo held
read -r _
rm -f lock
"""
)

# $2, …: names in files/. Prints those whose content is not what their name says, or is unknown.
MISSING = r"""
cd "$1/files" || exit 21
shift
for name; do
  have=none
  if [ -f "$name" ] && command -v sha256sum > /dev/null; then have=$(sha256sum < "$name"); fi
  [ "${have%% *}" = "$name" ] || echo "$name"
done
echo checked
"""

# $2: a hash; $3: bytes. Gives files/$2.part its name if it is what was sent.
KEEP = r"""
cd "$1/files" || exit 21
[ "$(wc -c < "$2.part")" -eq "$3" ] || { rm -f "$2.part"; echo short; exit; }
if command -v sha256sum > /dev/null; then
  have=$(sha256sum < "$2.part")
  [ "${have%% *}" = "$2" ] || { rm -f "$2.part"; echo changed; exit; }
fi
chmod 700 "$2.part" && mv "$2.part" "$2" && echo kept
"""

# $2: the run's folder; then pairs of a name and the file that it stands for.
BEGIN = r"""
cd "$1" || exit 21
mkdir "$2" && cd "$2" || exit 22
shift 2
while [ "$#" -gt 1 ]; do
  ln -s "../files/$2" "$1" 2>/dev/null || cp "../files/$2" "$1" || exit 22
  shift 2
done
echo begun
"""

# $2: the run's folder; $3: how many names of files to bring back follow; then these, the program and its words. If our
# stdin ends, the connection is lost, and the program is killed.
RUN = r"""
cd "$1/$2" || exit 21
trap "" HUP PIPE
run=$2; count=$3
shift 3
back=
while [ "$count" -gt 0 ]; do back="$back $1"; shift; count=$((count - 1)); done
exec 3<&0
"$@" < /dev/null > .printed 2> .complaint 3<&- &
program=$!
{ read -r _ <&3; kill -9 "$program"; } > /dev/null 2>&1 &
watch=$!
wait "$program" 2>/dev/null
code=$?
kill "$watch" 2>/dev/null
echo "ended $code"
for name in .printed .complaint $back; do
  if [ -f "$name" ]; then wc -c < "$name"; cat "$name"; else echo none; fi
done
cd .. && rm -rf "$run"
"""

# Nothing but what bnnt makes is removed.
CLEAN = (
    _ALIVE
    + r"""
[ -d "$1" ] || { echo nothing; exit; }
cd "$1" || exit 21
[ -f bnnt-device ] || exit 24
if alive; then echo busy; echo "$owner"; exit; fi
rm -rf files run.* lock lock.* || exit 22
rm -f bnnt-device
cd / && case $1 in /*) rmdir "$1" ;; *) cd && rmdir "$1" ;; esac && echo removed
"""
)

# Each file that bnnt learns something from, behind a line with its name.
FACTS = r"""
echo facts
uname -s; uname -m; uname -r
cat_all() {
  for file; do
    if [ -f "$file" ] && [ -r "$file" ]; then echo "== $file"; head -c 65536 "$file" 2>/dev/null; echo; fi
  done
}
cat_all /proc/cpuinfo /proc/meminfo /proc/loadavg /proc/device-tree/model /sys/devices/system/cpu/online
cat_all /sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor
cat_all /sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq
cat_all /sys/devices/system/cpu/cpu[0-9]*/cpufreq/cpuinfo_max_freq
cat_all /sys/devices/system/cpu/cpu[0-9]*/regs/identification/midr_el1
cat_all /sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/package_throttle_count
cat_all /sys/class/thermal/thermal_zone[0-9]*/temp /sys/devices/platform/soc/soc:firmware/get_throttled
cat_all /sys/class/powercap/intel-rapl:[0-9]/energy_uj /sys/class/hwmon/hwmon[0-9]*/power1_input
cat_all /sys/bus/i2c/drivers/ina3221*/*/hwmon/hwmon*/in_power0_input
echo "== page"; head -c 4096 /proc/self/smaps 2>/dev/null | grep KernelPageSize
echo "== free"; df -Pk "$1" 2>/dev/null || df -Pk "${1%/*}/" 2>/dev/null
echo "== python"; command -v python3
echo "== throttled"; command -v vcgencmd > /dev/null && vcgencmd get_throttled
echo "== end"
"""
