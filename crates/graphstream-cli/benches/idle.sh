#!/bin/bash
# idle.sh BINARY COUNT [SECONDS]: what that many idle journals cost in one process, looked at after SECONDS (25). Takes curl, bc, port 19464.
set -e
bin=$1; n=$2; d=$(mktemp -d); trap "rm -rf $d" EXIT
for i in 1 2 3; do echo '{"query":"CREATE (:P)","params":{"n":1}}' | $bin append --journal $d/one >/dev/null 2>&1; done
for i in $(seq $n); do cp -r $d/one $d/j$i; done
{ echo "[http]"; echo "address = '127.0.0.1:19464'"; echo "[defaults]"; echo "to = 'file://$d/store'"
  for i in $(seq $n); do echo "[[database]]"; echo "name = 'd$i'"; echo "journal = 'j$i'"; done; } > $d/graphstream.toml
t0=$(date +%s.%N)
$bin replicate --config $d/graphstream.toml --log-level warn 2> $d/log & pid=$!
for i in $(seq 1200); do c=$(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:19464/readyz || true); [ "$c" = 200 ] && break; sleep 0.1; done
echo "ready after $(echo "$(date +%s.%N) - $t0" | bc) s"
sleep ${3:-25}
ticks() { awk '{print $14+$15}' /proc/$pid/stat; }
look() { grep -E "VmRSS|VmHWM|Threads" /proc/$pid/status | tr '\n' ' '; echo "fds $(ls /proc/$pid/fd | wc -l)"; }
look; a=$(ticks); sleep 10; b=$(ticks); echo "cpu over 10 s: $((b-a)) ticks of 10 ms"; look
curl -s -o $d/metrics -w 'metrics: %{size_download} bytes in %{time_total} s\n' http://127.0.0.1:19464/metrics
curl -s -o $d/status -w 'status: %{size_download} bytes in %{time_total} s\n' http://127.0.0.1:19464/status
t0=$(date +%s.%N); kill -TERM $pid; wait $pid; echo "drained with $? after $(echo "$(date +%s.%N) - $t0" | bc) s"; head -3 $d/log
