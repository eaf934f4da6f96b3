package memcached

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"
)

// stats answers to stats and to those of its kinds that programs ask for.
func (s *session) stats(args [][]byte) {
	kind := ""
	if len(args) > 0 {
		kind = string(args[0])
	}
	c, cfg := s.srv.cache, s.srv.c
	n := c.numbers()
	switch kind {
	case "":
		open, total, rejected := s.srv.connections()
		s.stat("pid", os.Getpid())
		s.stat("uptime", int(n.up/time.Second))
		s.stat("time", time.Now().Unix())
		s.stat("version", Version)
		s.stat("pointer_size", strconv.IntSize)
		s.stat("max_connections", cfg.MaxConns)
		s.stat("curr_connections", open)
		s.stat("total_connections", total)
		s.stat("rejected_connections", rejected)
		s.stat("cmd_get", n.cmdGet)
		s.stat("cmd_set", n.cmdSet)
		s.stat("cmd_flush", n.cmdFlush)
		s.stat("cmd_touch", n.cmdTouch)
		s.stat("get_hits", n.getHits)
		s.stat("get_misses", n.getMisses)
		s.stat("get_expired", n.getExpired)
		s.stat("delete_misses", n.deleteMisses)
		s.stat("delete_hits", n.deleteHits)
		s.stat("incr_misses", n.incrMisses)
		s.stat("incr_hits", n.incrHits)
		s.stat("decr_misses", n.decrMisses)
		s.stat("decr_hits", n.decrHits)
		s.stat("cas_misses", n.casMisses)
		s.stat("cas_hits", n.casHits)
		s.stat("cas_badval", n.casBadval)
		s.stat("touch_hits", n.touchHits)
		s.stat("touch_misses", n.touchMisses)
		s.stat("store_too_large", n.storeTooLarge)
		s.stat("bytes_read", s.srv.bytesRead.Load())
		s.stat("bytes_written", s.srv.bytesWritten.Load())
		s.stat("limit_maxbytes", cfg.MaxBytes)
		s.stat("accepting_conns", 1)
		s.stat("threads", runtime.GOMAXPROCS(0))
		s.stat("bytes", n.bytes)
		s.stat("curr_items", n.items)
		s.stat("total_items", n.totalItems)
		s.stat("evictions", n.evictions)
		s.stat("reclaimed", n.reclaimed)
	case "settings":
		s.stat("maxbytes", cfg.MaxBytes)
		s.stat("maxconns", cfg.MaxConns)
		s.stat("item_size_max", cfg.MaxItemSize)
		s.stat("evictions", "on")
		s.stat("cas_enabled", "yes")
		s.stat("flush_enabled", "yes")
		s.stat("binding_protocol", "ascii")
		s.stat("num_threads", runtime.GOMAXPROCS(0))
		s.stat("idle_timeout", int(cfg.IdleTimeout/time.Second))
	case "items": // memcached tells of each class of sizes. Here there is one
		if n.items > 0 {
			s.stat("items:1:number", n.items)
			s.stat("items:1:mem_requested", n.bytes)
			s.stat("items:1:evicted", n.evictions)
			s.stat("items:1:reclaimed", n.reclaimed)
		}
	case "slabs":
		if n.items > 0 {
			s.stat("1:chunk_size", cfg.MaxItemSize)
			s.stat("1:used_chunks", n.items)
			s.stat("1:get_hits", n.getHits)
			s.stat("1:cmd_set", n.cmdSet)
		}
		s.stat("active_slabs", min(n.items, 1))
		s.stat("total_malloced", n.bytes)
	case "reset":
		c.reset()
		s.reply("RESET")
		return
	default:
		s.reply(badCommand)
		return
	}
	s.reply("END")
}

func (s *session) stat(name string, value any) {
	_, _ = fmt.Fprintf(s.out, "STAT %s %v\r\n", name, value)
}
