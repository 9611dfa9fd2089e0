// Parameter memory: one read per cycle for the datapath, one access per cycle for configuration.
//
// Reference    flow/build/images.py fixes the word layout; here a word is Bits plain bits, and with
//              Parity = 1 their parity above them
// Latency      2 cycles: block RAM answers late in its cycle, so its word goes into a register
// Throughput   1 access per cycle
// Stall        without advance_i data_o holds, without enable_i the word behind it; a configuration
//              access takes the cycle: the datapath's read is lost in it
//
// One address port serves both, so that block RAM needs no read-during-write logic. Configuration
// is for the time between vectors. Reset keeps every word; cfg_address_i must be below Words, its
// higher bits are ignored.
//
// With Style = 3 the words are constants of the circuit, in look-up tables: they are part of the
// device's configuration. A write takes its cycle and changes nothing, a read answers as ever.
//
// With Parity = 1 every word read, by either side, is checked in the cycle in which data_o has it.
// detected_o rises in the next one and stays until reset or until configuration writes the memory.
// What is written brings its own parity, so that configuration can flip any stored bit.
module memory #(
  parameter int Words          = 8,   // at most 2^CfgAddressBits
  parameter int Bits           = 16,  // per word, parity excluded
  parameter     File           = "",  // $readmemh image, one word per line
  parameter int CfgIndex       = 0,   // this memory's number on the configuration bus
  parameter int CfgBits        = 16,  // width of the configuration bus, at least Bits + Parity
  parameter int CfgFirst       = 0,   // 1: the chain begins here, cfg_chain_i is not read
  parameter int CfgMemoryBits  = 8,   // of the bus's memory number
  parameter int CfgAddressBits = 16,  // and of its addresses, at most 32
  parameter int Parity         = 0,   // 1: one more bit per word, which makes its ones even
  parameter int Style          = 0    // 0 any RAM, 1 block RAM, 2 distributed RAM, 3 constants
) (
  input  logic                                           clk_i,
  input  logic                                           rst_ni,         // synchronous, active low
  // datapath
  input  logic                                           enable_i,       // read a word
  input  logic                                           advance_i,      // move it to data_o
  input  logic [((Words > 1) ? $clog2(Words) : 1) - 1:0] address_i,
  output logic [Bits-1:0]                                data_o,
  // configuration
  input  logic                                           cfg_valid_i,    // one access this cycle
  input  logic                                           cfg_write_i,
  input  logic [CfgMemoryBits-1:0]                       cfg_memory_i,   // which memory
  input  logic [CfgAddressBits-1:0]                      cfg_address_i,  // which word
  input  logic [CfgBits-1:0]                             cfg_data_i,     // its low bits are written
  input  logic [CfgBits-1:0]                             cfg_chain_i,    // earlier memories' reads
  output logic [CfgBits-1:0]                             cfg_chain_o,    // two cycles after a read
  // protection
  output logic                                           detected_o      // a word was damaged
);

  localparam int AddressBits = (Words > 1) ? $clog2(Words) : 1;
  localparam int StoredBits  = Bits + Parity;

  initial if (CfgBits < StoredBits || Parity < 0 || Parity > 1) begin
    $fatal(1, "%m: CfgBits=%0d is below Bits=%0d + Parity=%0d, or that is not 0 or 1", CfgBits,
           Bits, Parity);
  end
  initial if (Style < 0 || Style > 3 || (Style == 3 && Parity != 0)) begin
    $fatal(1, "%m: Style=%0d is none of 0, 1, 2, 3, or constants have no Parity=%0d", Style, Parity);
  end
  initial if (AddressBits > CfgAddressBits || CfgAddressBits > 32) begin
    $fatal(1, "%m: Words=%0d need %0d bits of address, not CfgAddressBits=%0d (at most 32)", Words,
           AddressBits, CfgAddressBits);
  end
  initial if (CfgIndex >> CfgMemoryBits != 0 || CfgMemoryBits > 16) begin
    $fatal(1, "%m: CfgIndex=%0d does not fit CfgMemoryBits=%0d (at most 16)", CfgIndex,
           CfgMemoryBits);
  end

  localparam RamStyle = (Style == 1) ? "block" : (Style == 2) ? "distributed"
                      : (Style == 3) ? "registers" : "auto";
  (* ram_style = RamStyle *) logic [StoredBits-1:0] words [Words];
  initial if (File != "") $readmemh(File, words);

  logic [AddressBits-1:0] address;
  logic [StoredBits-1:0]  word_q, data_q;
  logic [1:0]             cfg_read_q;
  logic                   selected, write, read;
  logic                   unused;

  assign selected = cfg_valid_i && cfg_memory_i == CfgMemoryBits'(CfgIndex);
  assign write    = selected && cfg_write_i;
  assign read     = selected ? !cfg_write_i : enable_i;
  assign address  = selected ? cfg_address_i[AddressBits-1:0] : address_i;
  assign unused   = ^{cfg_address_i, cfg_data_i, cfg_chain_i, cfg_read_q, write, RamStyle};

  if (Style == 3) begin : gen_rom
    always_ff @(posedge clk_i) if (read) word_q <= words[address];
  end else begin : gen_ram
    always_ff @(posedge clk_i) begin
      if (write) words[address] <= cfg_data_i[StoredBits-1:0];
      else if (read) word_q <= words[address];
    end
  end

  always_ff @(posedge clk_i) if (advance_i) data_q <= word_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) cfg_read_q <= '0;
    else         cfg_read_q <= {cfg_read_q[0], selected && !cfg_write_i};
  end

  // one gate per bit of this memory, none for the first; bits above the word mean nothing
  assign data_o = data_q[Bits-1:0];
  if (CfgFirst != 0) begin : gen_first
    assign cfg_chain_o = CfgBits'(data_q);
  end else if (CfgBits > StoredBits) begin : gen_narrow
    assign cfg_chain_o[StoredBits-1:0] = cfg_read_q[1] ? data_q : cfg_chain_i[StoredBits-1:0];
    assign cfg_chain_o[CfgBits-1:StoredBits] = cfg_chain_i[CfgBits-1:StoredBits];
  end else begin : gen_wide
    assign cfg_chain_o = cfg_read_q[1] ? data_q : cfg_chain_i;
  end

  if (Parity != 0) begin : gen_parity
    logic fresh_q, check_q, detected_q;  // word_q was read, data_q came from it, an error was seen
    always_ff @(posedge clk_i) begin
      if (!rst_ni) begin
        fresh_q    <= 1'b0;
        check_q    <= 1'b0;
        detected_q <= 1'b0;
      end else begin
        fresh_q <= read || (fresh_q && !advance_i);
        check_q <= fresh_q && advance_i;
        if (write) detected_q <= 1'b0;
        else if (check_q && ^data_q) detected_q <= 1'b1;
      end
    end
    assign detected_o = detected_q;
  end else begin : gen_plain
    assign detected_o = 1'b0;
  end

endmodule
