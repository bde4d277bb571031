module penin.ai/cluster/probe

go 1.26.0
