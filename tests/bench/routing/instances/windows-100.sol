Cost: 1189.4
