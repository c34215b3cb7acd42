package handle

import "testing"

func TestInode(t *testing.T) {
	for name, test := range map[string]struct {
		handle string
		ino    uint64
		ok     bool
	}{
		"ext4":             {"\x01\x00\x00\x00" + "\x04\x03\x02\x01" + "\xff\xff\xff\xff", 0x01020304, true},
		"tmpfs":            {"\x01\x00\x00\x00" + "\xff\xff\xff\xff" + "\x04\x03\x02\x01" + "\x01\x00\x00\x00", 0x1_01020304, true},
		"xfs":              {"\x81\x00\x00\x00" + "\x04\x03\x02\x01\x02\x00\x00\x00" + "\xff\xff\xff\xff", 0x2_01020304, true},
		"btrfs":            {"\x4d\x00\x00\x00" + "\x04\x03\x02\x01\x02\x00\x00\x00" + "\x05\x00\x00\x00\x00\x00\x00\x00" + "\xff\xff\xff\xff", 0x2_01020304, true},
		"nothing":          {"", 0, false},
		"type alone":       {"\x01\x00\x00\x00", 0, false},
		"another type":     {"\x02\x00\x00\x00" + "\x04\x03\x02\x01" + "\xff\xff\xff\xff", 0, false},
		"another length":   {"\x81\x00\x00\x00" + "\x04\x03\x02\x01" + "\xff\xff\xff\xff", 0, false},
		"xfs with parent":  {"\x82\x00\x00\x00" + "\x04\x03\x02\x01\x02\x00\x00\x00" + "\xff\xff\xff\xff", 0, false},
		"longer than ext4": {"\x01\x00\x00\x00" + "0123456789abcdef", 0, false},
	} {
		if ino, ok := Inode(test.handle); ino != test.ino || ok != test.ok {
			t.Errorf("%s: %x, %v", name, ino, ok)
		}
	}
}
