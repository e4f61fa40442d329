module gpfs-csi.test/pause

go 1.26.0
