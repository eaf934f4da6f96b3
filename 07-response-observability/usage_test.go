package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// cpu is how much CPU time each role and what it has started has had, in seconds, as far
// as the system tells: as Linux does, in /proc.
func (s *stack) cpu() map[string]float64 {
	type usage struct {
		parent  int
		seconds float64
	}
	all := map[int]usage{}
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		name := bytes.LastIndexByte(text, ')') // which may hold anything: proc_pid_stat(5)
		fields := strings.Fields(string(text[name+1:]))
		var pid, parent, user, system int
		fmt.Sscan(string(text), &pid)
		fmt.Sscan(strings.Join([]string{fields[1], fields[11], fields[12]}, " "), &parent, &user, &system)
		const hertz = 100 // of Linux on all that Go runs on
		all[pid] = usage{parent, float64(user+system) / hertz}
	}
	roles := s.PIDs()
	used := map[string]float64{}
	for pid, u := range all {
		for at := pid; at > 1; at = all[at].parent {
			if name, ours := roles[at]; ours {
				used[name] += u.seconds
				break
			}
		}
	}
	return used
}
