//go:build linux || (darwin && !ios)

package backing

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// leftMemory returns how to remove the shared memory that a server in folder has
// left, if it was killed: 56 octets, but the system has few such segments, and
// keeps them until it is started anew. To be called when the folder is gone.
func leftMemory(folder string) (remove func()) {
	none := func() {}
	root, err := os.OpenRoot(folder) // the file may be another user's, and a link to anywhere
	if err != nil {
		return none
	}
	defer root.Close()
	text, err := root.ReadFile(filepath.Join("data", "postmaster.pid"))
	if err != nil {
		return none // it has cleaned up
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) < 7 {
		return none
	}
	words := strings.Fields(lines[6]) // its key and its number
	if len(words) != 2 {
		return none
	}
	id, err := strconv.Atoi(words[1])
	if err != nil {
		return none
	}
	owner, err := root.Lstat("data")
	if err != nil {
		return none
	}
	return func() {
		var segment unix.SysvShmDesc
		for range 100 {
			if _, err := unix.SysvShmCtl(id, unix.IPC_STAT, &segment); err != nil || !belongs(owner, segment.Perm.Uid) {
				return
			}
			if segment.Nattch == 0 { // the server's children have noticed its end
				_, _ = unix.SysvShmCtl(id, unix.IPC_RMID, nil)
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}
