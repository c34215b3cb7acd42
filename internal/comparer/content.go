package comparer

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// holeSlack is by how many bytes the data of two equal files may differ before that counts as a
// difference in holes: file systems allocate in units of their own.
const holeSlack = 64 << 10

func (c *comparison) compareFiles(path string, a, b side) error {
	if a.stat.Size != b.stat.Size {
		c.differ(path, "size", fmt.Sprint(a.stat.Size), fmt.Sprint(b.stat.Size))
		return nil
	}
	if a.stat.Size == 0 || a.stat.Dev == b.stat.Dev && a.stat.Ino == b.stat.Ino {
		return nil
	}
	var files [2]*os.File
	for i, s := range []side{a, b} {
		fd, err := unix.Openat(s.dir, s.name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOATIME|unix.O_CLOEXEC, 0)
		if err != nil {
			return &os.PathError{Op: "open", Path: path, Err: err}
		}
		files[i] = os.NewFile(uintptr(fd), path)
		defer files[i].Close()
	}
	if err := c.compareHoles(path, files, a.stat, b.stat); err != nil {
		return err
	}
	return c.compareBytes(path, files, a.stat.Size)
}

func (c *comparison) compareBytes(path string, files [2]*os.File, size int64) error {
	for at := int64(0); at < size; {
		want := int(min(int64(len(c.buffers[0])), size-at))
		for i, file := range files {
			if n, err := file.ReadAt(c.buffers[i][:want], at); n != want {
				return fmt.Errorf("read %q at %d: %w", path, at, err)
			}
		}
		x, y := c.buffers[0][:want], c.buffers[1][:want]
		if !bytes.Equal(x, y) {
			k := 0
			for x[k] == y[k] {
				k++
			}
			where := strconv.FormatInt(at+int64(k), 10)
			c.differ(path, "content", fmt.Sprintf("byte %s is %#02x", where, x[k]), fmt.Sprintf("%#02x", y[k]))
			return nil
		}
		at += int64(want)
	}
	return nil
}

// compareHoles compares how much of a file is data. It looks only if one of the two may have holes.
func (c *comparison) compareHoles(path string, files [2]*os.File, x, y unix.Stat_t) error {
	if x.Blocks*512+holeSlack > x.Size && y.Blocks*512+holeSlack > y.Size {
		return nil
	}
	data, err := bothData(files, x.Size)
	if err == nil && !similar(data) {
		// Where xfs has reserved space beside blocks that it unshares, it takes for data whatever lies in the
		// page cache, such as the zeros that an earlier comparison has read.
		for _, file := range files {
			err = errors.Join(err, unix.Fdatasync(int(file.Fd())), unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED))
		}
		if err == nil {
			data, err = bothData(files, x.Size)
		}
	}
	if err != nil {
		return fmt.Errorf("look for holes in %q: %w", path, err)
	}
	if !similar(data) {
		c.differ(path, "holes", fmt.Sprintf("%d bytes of data", data[0]), fmt.Sprintf("%d bytes of data", data[1]))
	}
	return nil
}

func similar(data [2]int64) bool {
	d := data[0] - data[1]
	return -holeSlack <= d && d <= holeSlack
}

func bothData(files [2]*os.File, size int64) (data [2]int64, err error) {
	for i, file := range files {
		if data[i], err = dataBytes(int(file.Fd()), size); err != nil {
			return data, err
		}
	}
	return data, nil
}

func dataBytes(fd int, size int64) (int64, error) {
	sum := int64(0)
	for at := int64(0); at < size; {
		start, err := unix.Seek(fd, at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			break // only a hole follows
		}
		if err != nil {
			return 0, err
		}
		end, err := unix.Seek(fd, start, unix.SEEK_HOLE)
		if err != nil {
			return 0, err
		}
		sum += end - start
		at = end
	}
	return sum, nil
}

func (c *comparison) compareTargets(path string, a, b side) error {
	var texts [2]string
	for i, s := range []side{a, b} {
		n, err := unix.Readlinkat(s.dir, s.name, c.buffers[i])
		if err != nil {
			return &os.PathError{Op: "read link", Path: path, Err: err}
		}
		texts[i] = string(c.buffers[i][:n])
	}
	if texts[0] != texts[1] {
		c.differ(path, "target", strconv.Quote(texts[0]), strconv.Quote(texts[1]))
	}
	return nil
}
