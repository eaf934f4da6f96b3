module clicktocode.example/workshop

go 1.26.0

tool clicktocode.example/workshop
