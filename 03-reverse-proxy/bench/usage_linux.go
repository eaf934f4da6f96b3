package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of /proc's times: USER_HZ, which is 100 wherever Go runs.
const tick = 10 * time.Millisecond

// cpu is the time that the process and its children have had, in user and
// kernel mode.
func cpu(pid int) (total time.Duration) {
	for _, f := range family(pid) {
		user, _ := strconv.Atoi(f[11])
		system, _ := strconv.Atoi(f[12])
		total += time.Duration(user+system) * tick
	}
	return total
}

// peak is the most memory, in MB, that the process and its children have had
// in RAM. What they share is counted for each.
func peak(pid int) (mb float64) {
	for _, f := range family(pid) {
		status, err := os.ReadFile("/proc/" + f[len(f)-1] + "/status")
		if err != nil {
			continue // ended in between
		}
		_, rest, _ := strings.Cut(string(status), "VmHWM:")
		kb, _ := strconv.Atoi(strings.Fields(rest + " 0")[0])
		mb += float64(kb) / 1024
	}
	return mb
}

// family are the fields of /proc/PID/stat (proc(5)) behind the command, which
// are numbered from 3 there, of pid and its children. The ID stands at the end.
func family(pid int) (all [][]string) {
	files, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is a good one
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // ended in between
		}
		own, _, _ := strings.Cut(string(text), " ")
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:])) // a command may hold anything
		if parent := strconv.Itoa(pid); own == parent || fields[1] == parent {
			all = append(all, append(fields, own))
		}
	}
	return all
}
