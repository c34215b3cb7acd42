// Command bench measures weir from outside, as a user would see it, beside cp, rsync and lsyncd, on
// loop-mounted volumes, and prints medians in one run. It is a module of its own: what it needs is not
// bought by weir.
//
// It needs root. It works in a mount namespace of its own and in a temporary directory, of which nothing
// remains. What it prints as visible is what a reader of the replica sees; what it prints as durable is
// what survives a power cut: after syncfs for the rivals, and for weir when its barrier has passed, by the
// time that it tells itself, without the end of the process.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// settings are what a run can be told.
type settings struct {
	weir    string // path of the binary
	dir     string // where images and state are made
	fs      []string
	only    *regexp.Regexp
	runs    int
	changes int   // single changes per latency run
	files   int   // of a burst
	moved   int   // files in the directory that is renamed
	idle    int   // files of the large tree
	large   int64 // bytes of the file that grows
	appends int
	pause   time.Duration // for what goes on behind the last visible change
}

// insideEnv marks the process that runs in its own mount namespace, and names its directory.
const insideEnv = "WEIR_BENCH_DIR"

func main() {
	if err := start(); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) { // otherwise the inner process has said it
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
		os.Exit(1)
	}
}

func start() error {
	s, err := readFlags()
	if err != nil {
		return err
	}
	if s.dir = os.Getenv(insideEnv); s.dir != "" {
		return run(s)
	}
	return enclose()
}

func readFlags() (settings, error) {
	var s settings
	var fs, only string
	short := flag.Bool("short", false, "fewer files and runs, to see that it works")
	flag.StringVar(&s.weir, "weir", "../build/weir", "the `binary` to measure")
	flag.StringVar(&fs, "fs", "ext4,xfs,btrfs", "file systems, of source and target alike")
	flag.StringVar(&only, "only", "", "measure only what a `pattern` matches: "+strings.Join(names(), ", "))
	flag.IntVar(&s.runs, "runs", 5, "runs, of which the median is printed")
	flag.IntVar(&s.changes, "changes", 200, "single changes per run")
	flag.IntVar(&s.files, "files", 20_000, "files of a burst")
	flag.IntVar(&s.moved, "moved", 10_000, "files of the directory that is renamed")
	flag.IntVar(&s.idle, "idle", 200_000, "files of the tree that is idle, and that weir is started on again")
	flag.Int64Var(&s.large, "large", 5<<30, "bytes of the file that grows, on ext4")
	flag.IntVar(&s.appends, "appends", 600, "appends to that file, ten a second")
	flag.DurationVar(&s.pause, "pause", 10*time.Second, "how long what is idle is watched")
	flag.Parse()
	if *short {
		s.runs, s.changes, s.files, s.moved, s.idle = 1, 20, 1000, 1000, 5000
		s.large, s.appends, s.pause = 64<<20, 50, 2*time.Second
	}
	s.fs = strings.Split(fs, ",")
	var err, abs error
	s.only, err = regexp.Compile(only)
	s.weir, abs = filepath.Abs(s.weir)
	return s, errors.Join(err, abs)
}

// enclose runs the program again in a private mount namespace, and removes its files afterwards.
func enclose() error {
	if os.Geteuid() != 0 {
		return errors.New("volumes need root: run as root")
	}
	dir, err := os.MkdirTemp("", "weir-bench-")
	if err != nil {
		return err
	}
	inner := exec.Command("/proc/self/exe", os.Args[1:]...)
	inner.Stdout, inner.Stderr = os.Stdout, os.Stderr
	inner.Env = append(os.Environ(), insideEnv+"="+dir)
	inner.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	return errors.Join(inner.Run(), os.RemoveAll(dir))
}

func run(s settings) error {
	if err := describeMachine(s); err != nil {
		return err
	}
	var errs []error
	for _, fs := range s.fs {
		fmt.Printf("\n%s to %s\n", fs, fs)
		for _, workload := range workloads() {
			if !s.only.MatchString(workload.name) {
				continue
			}
			err := workload.run(s, fs)
			if err != nil {
				fmt.Printf("  %-34s FAILED: %v\n", workload.name, err)
				errs = append(errs, fmt.Errorf("%s on %s: %w", workload.name, fs, err))
			}
		}
	}
	return errors.Join(errs...)
}

// workload is one thing that is measured.
type workload struct {
	name string
	run  func(s settings, fs string) error
}

func names() (list []string) {
	for _, w := range workloads() {
		list = append(list, w.name)
	}
	return list
}

// workloads lists everything that is measured.
func workloads() []workload {
	return []workload{
		{"single 4 KiB change", changeLatency},
		{"first copy", firstCopy},
		{"burst", burst},
		{"rename of a directory", renameDirectory},
		{"changes beside the source", besideSource},
		{"large tree", largeTree},
		{"appends to a large file", appends},
	}
}

func describeMachine(s settings) error {
	version, err := exec.Command(s.weir, "version").Output()
	if err != nil {
		return fmt.Errorf("%s: %w", s.weir, err)
	}
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return err
	}
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return err
	}
	if len(followers()) == 1 {
		fmt.Println("lsyncd is not installed and is left out")
	}
	cpus, _ := exec.Command("nproc").Output()
	fmt.Printf("%sLinux %s, %s CPUs, load %s\nmedians of %d runs; loop images in %s\n",
		version, strings.TrimSpace(string(kernel)), strings.TrimSpace(string(cpus)),
		strings.Join(strings.Fields(string(load))[:3], " "), s.runs, filepath.Dir(s.dir))
	return nil
}
